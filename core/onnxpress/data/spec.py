"""The SPEC of data, as text and as a table.

``path[:input=array,…,labels=array][?limit=N&batch=N&…]``, with a path or
``package.module:callable`` in front.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from onnxpress.data.options import OPTION_NAMES
from onnxpress.errors import OptionError, UsageError, suggestion

_CALLABLE: Final = re.compile(
    r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(?=[:?]|$)"
)
# Where a path that does not exist was meant to end: before "?…" or ":name=…".
_PATH_END: Final = re.compile(r"\?|:[^:/\\?]*=")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, before file or model are looked at.

    Attributes:
        place: A path that exists, or ``package.module:callable``.
        is_path: Which of the two it is.
        arrays: Array names by input name; ``labels`` and ``input`` have their special meaning.
        options: Options by name, not read yet.
        text: How the report calls it.
    """

    place: str
    is_path: bool
    arrays: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    text: str = ""


def parse_spec(text: str) -> Request:
    """Read a SPEC.

    The longest beginning that is a path that exists is the path, so ``:``, ``?`` and
    ``=`` may be part of it.

    Raises:
        UsageError: If there is no such file and it is no ``package.module:callable``.
        OptionError: If what follows the path is not written as it should be.
    """
    place, is_path = _place(text)
    rest = text[len(place) :]
    if rest and rest[0] not in ":?":
        raise OptionError(f"{text}: expected ':' or '?' after {place!r}, found {rest!r}")
    arrays, _, options = rest.lstrip(":").partition("?")
    return Request(
        place,
        is_path,
        _pairs(arrays, ",", text),
        _pairs(options, "&", text),
        f"{Path(place).name if is_path else place}{rest}",
    )


def parse_table(table: Mapping[Any, Any]) -> Request:
    """Read the same as a table: ``{path = …, input = …, labels = …, limit = …}``.

    What is no option is an array; ``inputs = {name = array}`` is there for inputs that
    are called like an option.
    """
    base = parse_spec(os.fspath(table["path"]))
    arrays, options = dict(base.arrays), dict(base.options)
    for key, value in table.items():
        if value is None:
            continue
        if key == "inputs" and isinstance(value, Mapping):
            arrays.update({str(name): str(array) for name, array in value.items()})
        elif key in OPTION_NAMES:
            options[str(key)] = value
        elif key != "path":
            arrays[str(key)] = _array_name(str(key), value)
    return Request(base.place, base.is_path, arrays, options, _text(base, arrays, options))


def _place(text: str) -> tuple[str, bool]:
    for end in _ends(text):
        if os.path.exists(text[:end]):  # says no where Path.exists raises: a name that is too long
            return text[:end], True
    if found := _CALLABLE.match(text):
        return found.group(), False
    end = found.start() if (found := _PATH_END.search(text)) else len(text)
    raise UsageError(_missing(text[:end]))


def _ends(text: str) -> Iterator[int]:
    yield len(text)
    yield from (i for i in range(len(text) - 1, 0, -1) if text[i] in ":?")


def _missing(path: str) -> str:
    if not path:
        return "the data has no path; give a file, a folder of images or package.module:callable"
    folder = Path(path).parent
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r} to read the data {Path(path).name!r} from"
    names = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]
    return (
        f"there is no file or folder {path!r} to read data from{suggestion(Path(path).name, names)}"
    )


def _pairs(text: str, separator: str, spec: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, text.split(separator)):
        key, equals, value = part.partition("=")
        if not equals or not key or not value:
            raise OptionError(f"{spec}: {part!r} is not written as key=value")
        if key in pairs:
            raise OptionError(f"{spec}: {key!r} is given twice")
        pairs[key] = value
    return pairs


def _array_name(key: str, value: object) -> str:
    if not isinstance(value, str):
        nearest = suggestion(key, OPTION_NAMES)
        raise OptionError(f"data key {key!r} should name an array, not be {value!r}{nearest}")
    return value


def _text(base: Request, arrays: Mapping[str, str], options: Mapping[str, object]) -> str:
    name = Path(base.place).name if base.is_path else base.place
    named = ",".join(f"{key}={value}" for key, value in arrays.items())
    asked = "&".join(f"{key}={_plain(value)}" for key, value in options.items())
    return name + (f":{named}" if named else "") + (f"?{asked}" if asked else "")


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
