"""From the ways to write a step, or an objective, to the object it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel

from onnxpress.contract import Objective, Transform
from onnxpress.errors import OptionError, UnknownNameError, UsageError, noting
from onnxpress.offers import WORDS
from onnxpress.plain import plain
from onnxpress.plugins import Plugins
from onnxpress.recipe.options import Where, fill_in, inner_fields, kebab
from onnxpress.recipe.spec import parse_spec

Step: TypeAlias = str | Mapping[str, Any] | Transform
"""A SPEC ``name:key=value``, a table ``{"use": name, key: value}``, or the object itself."""

WrittenObjective: TypeAlias = str | Mapping[str, Any] | Objective
"""The same for an objective: ``cross-entropy:label-smoothing=0.1``."""

_M = TypeVar("_M", Transform, Objective)


def _nowhere(*_keys: str | int) -> str:
    return ""


def make_step(step: Step, plugins: Plugins, where: Where = _nowhere) -> Transform:
    """Return the step that is meant.

    Args:
        step: Any way to write one.
        plugins: Where its name is looked up.
        where: Where its options are written, for errors.

    Raises:
        UnknownNameError: If there is no such step or option; names the nearest.
        OptionError: If an option does not take its value; says what it takes.
        UsageError: If it is nothing that stands for a step.
    """
    return _make(Transform, step, plugins, where)  # type: ignore[type-abstract]


def make_objective(
    objective: WrittenObjective, plugins: Plugins, where: Where = _nowhere
) -> Objective:
    """Return the loss or penalty that is meant; as `make_step`."""
    return _make(Objective, objective, plugins, where)  # type: ignore[type-abstract]


def to_table(step: Transform | Objective) -> dict[str, Any]:
    """Return a step as a table of plain values: its name under ``use``, and every option."""
    return {"use": step.name, **options_of(step)}


def options_of(step: Transform | Objective) -> dict[str, Any]:
    """Return all options of a step as plain values, named as in recipes."""
    dumped = step.model_dump(mode="json", fallback=str)
    return {kebab(name): value for name, value in dumped.items()}


def unusual_options(step: Transform | Objective) -> dict[str, Any]:
    """Return the options that are not at their defaults, and of tables the same; as `options_of`.

    With the name under ``use`` they make the same step again.
    """
    names = _unusual_names(step)
    dumped = step.model_dump(mode="json", fallback=str, include=names, exclude_defaults=True)
    return {kebab(name): value for name, value in dumped.items()}


def describe(step: Transform | Objective) -> str:
    """Return a step with the options that were given, much like a SPEC."""
    options = asked(step)
    return f"{step.name}:{options}" if options else step.name


def asked(step: Transform | Objective) -> str:
    """Return the options that were given, much like a SPEC.

    Of a table of options, such as ``train``, only those that are not as usual, and without
    the name of the table where a SPEC needs none.
    """
    short = inner_fields(type(step))
    parts = []
    for name in sorted(step.model_fields_set, key=[*type(step).model_fields].index):
        value = getattr(step, name)
        if isinstance(value, BaseModel) and name in short.values():
            inner = [(f if f in short else f"{name}.{f}", v) for f, v in _unusual(value)]
            parts += [f"{kebab(field)}={_spec(own)}" for field, own in inner]
        else:
            parts.append(f"{kebab(name)}={_spec(value)}")
    return ",".join(parts)


def resolved(step: Transform | Objective) -> str:
    """Return all options that say anything, much like a SPEC; of tables what is not as usual."""
    fields = {name: getattr(step, name) for name in type(step).model_fields}
    said = {name: value for name, value in fields.items() if value not in (None, (), [], {})}
    return ",".join(f"{kebab(name)}={_spec(value)}" for name, value in said.items())


def _unusual(table: BaseModel) -> Iterator[tuple[str, object]]:
    """Yield the options that are not at their defaults."""
    for name, field in type(table).model_fields.items():
        value = getattr(table, name)
        if value != field.get_default(call_default_factory=True):
            yield name, value


def _unusual_names(table: BaseModel) -> dict[str, Any]:
    """Return the names of the options that are not at their defaults, those of tables too."""
    # `exclude_defaults` alone passes over what has a serializer of its own.
    return {
        name: _unusual_names(value)
        if isinstance(value, BaseModel) and not hasattr(value, "name")
        else True
        for name, value in _unusual(table)
    }


def _spec(value: object) -> str:
    """Return a value much as a SPEC has it; of what has a name of its own, that and options."""
    if isinstance(value, BaseModel):
        options = ",".join(f"{kebab(name)}={_spec(own)}" for name, own in _unusual(value))
        name = getattr(value, "name", None)
        if name is None:
            return f"{{{options}}}"
        text = f"{name}:{options}" if options else str(name)
        return f'"{text}"' if "," in text else text
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_spec, value))}]"
    return shown(plain(value))


def shown(value: object) -> str:
    """Return a value much as a SPEC has it."""
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}={shown(inner)}' for key, inner in value.items())}}}"
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _make(base: type[_M], written: object, plugins: Plugins, where: Where) -> _M:
    if isinstance(written, base):
        return written
    if isinstance(written, str):
        return _from_spec(base, written, plugins, where)
    if isinstance(written, Mapping):
        options = {**written}
        name = options.pop("use", None)
        with noting(_in(where("use"))):
            kind = _finder(base, plugins)(_checked(base, name, written))
        return fill_in(kind, str(name), options, where)
    raise UsageError(
        f"{written!r} is no {WORDS[base]}; give a text (name:key=value), a table with 'use', or "
        f"{'an' if base is Objective else 'a'} {base.__name__}"
    )


def _from_spec(base: type[_M], spec: str, plugins: Plugins, where: Where) -> _M:
    with noting(_in(where("use"))):
        name, options = parse_spec(spec, WORDS[base])
        kind = _find(base, name, plugins)
    return fill_in(kind, name, options, where)


def _find(base: type[_M], name: str, plugins: Plugins) -> type[_M]:
    short, colon, rest = name.partition(":")
    try:
        return _finder(base, plugins)(name)
    except UnknownNameError as error:
        known = plugins.transforms if base is Transform else plugins.objectives
        if colon and short in known:
            raise OptionError(f"{short}: write {rest!r} as key=value") from error
        raise


def _finder(base: type[_M], plugins: Plugins) -> Callable[[str], type[_M]]:
    return plugins.find_transform if base is Transform else plugins.find_objective  # type: ignore[return-value]


def _checked(base: type[_M], name: object, written: Mapping[Any, Any]) -> str:
    if isinstance(name, str):
        return name
    article = "an" if base is Objective else "a"
    raise UsageError(
        f'{article} {WORDS[base]} needs use = "name"; this one has '
        f"{', '.join(map(str, written)) or 'none'}"
    )


def _in(place: str) -> str:
    return f"in {place}" if place else ""
