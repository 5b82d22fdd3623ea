"""Recipe files: TOML, YAML and JSON as tables, and on which line everything is written."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from onnxpress.errors import UsageError, suggestion

Keys: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """A table, and where its parts are written.

    Attributes:
        table: The table.
        name: The file it is from; empty if it is from none.
        lines: Lines, from 1, by the keys and indices that lead to a part.
    """

    table: Mapping[str, Any]
    name: str = ""
    lines: Mapping[Keys, int] = field(default_factory=dict)

    def where(self, *keys: str | int) -> str:
        """Say where a part is written, or else what it belongs to: ``r.toml, line 3``."""
        keys = _normal(keys)
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return f"{self.name}, line {self.lines[keys]}" if keys else self.name


def read_file(path: Path) -> Written:
    """Read a recipe file; the report of a run (JSON) stands for the recipe of that run.

    Raises:
        UsageError: If there is no such file, or it is not what its suffix says.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: a recipe is a file that ends in {', '.join(_READERS)}")
    table, lines = reader(path, _text(path))
    if not isinstance(table, dict):
        raise UsageError(f"{path}: a recipe is a table with 'steps', this is {_kind(table)}")
    return Written(table, str(path), {_normal(keys): line for keys, line in lines.items()})


def _normal(keys: Keys) -> Keys:
    """Return keys as `kebab` writes them; a recipe may use either form."""
    return tuple(key.replace("_", "-") if isinstance(key, str) else key for key in keys)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = suggestion(path.name, names)
        hint = near if "did you mean" in near else ""
        raise UsageError(f"there is no recipe {str(path)!r}{hint}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the recipe {str(path)!r} can't be read: {error}") from error


def _kind(table: object) -> str:
    return "empty" if table is None else f"a {type(table).__name__}"


def _read_json(path: Path, text: str) -> tuple[Any, dict[Keys, int]]:
    try:
        table = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    is_report = isinstance(table, dict) and isinstance(table.get("recipe"), dict)
    return table["recipe"] if is_report else table, {}


def _read_toml(path: Path, text: str) -> tuple[Any, dict[Keys, int]]:
    try:
        return tomllib.loads(text), dict(_toml_lines(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error


def _read_yaml(path: Path, text: str) -> tuple[Any, dict[Keys, int]]:
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        lines = {} if root is None else dict(_yaml_lines(root, (), path))
        return yaml.safe_load(text), lines
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error


_READERS: Final[Mapping[str, Callable[[Path, str], tuple[Any, dict[Keys, int]]]]] = {
    ".toml": _read_toml,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
}

_HEADER: Final = re.compile(r"\s*(\[\[?)([^\[\]=]+)\]\]?\s*(#.*)?")
_KEY: Final = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*[\w-]+)*)\s*=")


def _toml_lines(text: str) -> Iterator[tuple[Keys, int]]:
    """Find headers and keys; tomllib says no lines, and what is inside a line need not be told."""
    tables: Counter[Keys] = Counter()
    prefix: Keys = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.fullmatch(line):
            keys = _parts(header[2])
            if header[1] == "[[":
                tables[keys] += 1
            prefix = _indexed(keys, tables)
            yield prefix, number
        elif key := _KEY.match(line):
            yield (*prefix, *_parts(key[1])), number


def _parts(dotted: str) -> Keys:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _indexed(keys: Keys, tables: Mapping[Keys, int]) -> Keys:
    """Put the index of the latest ``[[table]]`` behind every key that names one."""
    found: Keys = ()
    for i, key in enumerate(keys, start=1):
        found += (key, tables[keys[:i]] - 1) if keys[:i] in tables else (key,)
    return found


def _yaml_lines(node: yaml.Node, keys: Keys, path: Path) -> Iterator[tuple[Keys, int]]:
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield (*keys, i), item.start_mark.line + 1
            yield from _yaml_lines(item, (*keys, i), path)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:  # YAML forbids it; PyYAML would take the last one
                raise UsageError(f"{path}, line {line}: {key.value!r} is given twice")
            seen.add(str(key.value))
            yield (*keys, str(key.value)), line
            yield from _yaml_lines(value, (*keys, str(key.value)), path)
