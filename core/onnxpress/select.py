"""Choosing layers by pattern, the same everywhere a user may name layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator

from onnxpress.errors import OptionError, UnknownNameError

if TYPE_CHECKING:
    from onnxpress.graph.layers import Layer

_REGEX: Final = "re:"
_OPERATOR: Final = "op:"


def _as_patterns(value: object) -> object:
    """Take a single pattern for a list of one."""
    return (value,) if isinstance(value, str) else value


Patterns: TypeAlias = Annotated[Sequence[str], BeforeValidator(_as_patterns), AfterValidator(tuple)]
"""The type of a transform's option that names layers."""


def select(
    layers: Sequence[Layer], include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[Layer, ...]:
    """Return the layers that `include` names and `exclude` does not, in their own order.

    A layer answers to its own name and to that of its main weight, because some
    exporters keep the author's words only in one of them.  A pattern is tried as

    1. an exact name, whatever characters it holds: ``/layer1/conv[0]/Conv``;
    2. ``op:TYPE``: an operator, or a glob over operators: ``op:Conv``, ``op:*Normalization``;
    3. ``re:REGEX``: a regular expression that must match a whole name;
    4. a glob: ``layer1.*``, ``*/fc?``.  Letter case counts.

    Args:
        layers: What to choose from, such as `Model.layers`.
        include: Patterns; none at all means every layer.
        exclude: Patterns of layers to leave out again.

    Raises:
        UnknownNameError: If a pattern matches no layer; it suggests the nearest names.
        OptionError: If a regular expression can't be compiled.
    """
    chosen = _matching(layers, include) if include else {layer.name for layer in layers}
    chosen -= _matching(layers, exclude)
    return tuple(layer for layer in layers if layer.name in chosen)


def _matching(layers: Sequence[Layer], patterns: Iterable[str]) -> set[str]:
    return {name for pattern in patterns for name in _match(layers, pattern)}


def _match(layers: Sequence[Layer], pattern: str) -> set[str]:
    if exact := _named(layers, pattern.__eq__):
        return exact
    if pattern.startswith(_OPERATOR):
        return _match_operator(layers, pattern.removeprefix(_OPERATOR))
    if pattern.startswith(_REGEX):
        regex = _compile(pattern.removeprefix(_REGEX))
        found = _named(layers, lambda name: regex.fullmatch(name) is not None)
    else:
        found = _named(layers, lambda name: fnmatchcase(name, pattern))
    if not found:
        raise UnknownNameError("layer", pattern, [n for layer in layers for n in _names(layer)])
    return found


def _named(layers: Sequence[Layer], fits: Callable[[str], bool]) -> set[str]:
    return {layer.name for layer in layers if any(map(fits, _names(layer)))}


def _names(layer: Layer) -> tuple[str, str]:
    return layer.name, layer.weight.name


def _match_operator(layers: Sequence[Layer], pattern: str) -> set[str]:
    found = {layer.name for layer in layers if fnmatchcase(layer.op_type, pattern)}
    if not found:
        raise UnknownNameError("layer of type", pattern, {layer.op_type for layer in layers})
    return found


def _compile(regex: str) -> re.Pattern[str]:
    try:
        return re.compile(regex)
    except re.error as error:
        raise OptionError(f"{_REGEX}{regex} is no valid regular expression: {error}") from error
