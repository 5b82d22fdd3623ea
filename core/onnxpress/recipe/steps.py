"""From the ways to write a step to the `Transform` it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from onnxpress.contract import Transform
from onnxpress.errors import OptionError, UnknownNameError, UsageError, noting
from onnxpress.plugins import Plugins
from onnxpress.recipe.options import Where, fill_in, kebab
from onnxpress.recipe.spec import parse_spec

Step: TypeAlias = str | Mapping[str, Any] | Transform
"""A SPEC ``name:key=value``, a table ``{"use": name, key: value}``, or the object itself."""


def make_step(step: Step, plugins: Plugins, where: Where = lambda *_keys: "") -> Transform:
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
    if isinstance(step, Transform):
        return step
    if isinstance(step, str):
        return _from_spec(step, plugins, where)
    if isinstance(step, Mapping):
        options = {**step}
        name = options.pop("use", None)
        with noting(_in(where("use"))):
            kind = plugins.find_transform(_checked(name, step))
        return fill_in(kind, str(name), options, where)
    raise UsageError(
        f"{step!r} is no step; give a text (name:key=value), a table with 'use', or a Transform"
    )


def to_table(step: Transform) -> dict[str, Any]:
    """Return a step as a table of plain values: its name under ``use``, and every option."""
    return {"use": step.name, **options_of(step)}


def options_of(step: Transform) -> dict[str, Any]:
    """Return all options of a step as plain values, named as in recipes."""
    dumped = step.model_dump(mode="json", fallback=str)
    return {kebab(name): value for name, value in dumped.items()}


def describe(step: Transform) -> str:
    """Return a step with the options that were given, much like a SPEC."""
    given = step.model_dump(mode="json", fallback=str, include=step.model_fields_set)
    options = ",".join(f"{kebab(name)}={shown(value)}" for name, value in given.items())
    return f"{step.name}:{options}" if options else step.name


def shown(value: object) -> str:
    """Return a value much as a SPEC has it."""
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}={shown(inner)}' for key, inner in value.items())}}}"
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _from_spec(spec: str, plugins: Plugins, where: Where) -> Transform:
    with noting(_in(where("use"))):
        name, options = parse_spec(spec)
        kind = _find(name, plugins)
    return fill_in(kind, name, options, where)


def _find(name: str, plugins: Plugins) -> type[Transform]:
    short, colon, rest = name.partition(":")
    try:
        return plugins.find_transform(name)
    except UnknownNameError as error:
        if colon and short in plugins.transforms:
            raise OptionError(f"{short}: write {rest!r} as key=value") from error
        raise


def _checked(name: object, step: Mapping[str, Any]) -> str:
    if isinstance(name, str):
        return name
    raise UsageError(
        f'a step needs use = "name"; this one has {", ".join(map(str, step)) or "none"}'
    )


def _in(place: str) -> str:
    return f"in {place}" if place else ""
