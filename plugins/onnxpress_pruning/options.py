"""Types of options that pruning steps share, as users write them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer


def _as_share(value: object) -> object:
    """Refuse what is no share of the weights, in words; pydantic does the rest."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value
    if 0 <= number < 1:
        return value
    percent = number / 100
    hint = f"; did you mean {percent:g}?" if number > 1 > percent else ""
    raise ValueError(f"a share of the weights is in [0, 1): from 0 up to but not including 1{hint}")


def _as_shares(value: object) -> object:
    """Take ``PATTERN=SHARE``, or a list of them, for a mapping."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, Sequence):
        return value
    pairs = [str(entry).rpartition("=") for entry in value]
    if any(not (pattern and share) for pattern, _, share in pairs):
        raise ValueError("write PATTERN=SHARE, as in op:Conv=0.6")
    return {pattern: share for pattern, _, share in pairs}


def _only(value: object) -> object:
    """Return the text in a list of one text, as the command line gives it."""
    alone = isinstance(value, list | tuple) and len(value) == 1 and isinstance(value[0], str)
    return value[0] if alone else value  # type: ignore[index]


def _as_pattern(value: object) -> object:
    """Take ``N:M`` for two numbers, and refuse what keeps none or all."""
    value = _only(value)
    parts = value.split(":") if isinstance(value, str) else value
    try:
        keep, of = (int(part) for part in parts)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise ValueError("write N:M, how many stay of how many, as in 2:4") from error
    if not 1 <= keep < of:
        raise ValueError("N of every M weights stay, at least 1 and less than M, as in 2:4")
    return keep, of


def _as_block(value: object) -> object:
    """Take ``4x1``, or a list of sizes, for sizes; ``*`` is a whole axis."""
    value = _only(value)
    parts = value.lower().split("x") if isinstance(value, str) else value
    try:
        sizes = tuple(0 if str(part) == "*" else int(str(part)) for part in parts)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise ValueError(
            "write sizes with x between them, as in 1x4 or 4x1x1x1; * is all"
        ) from error
    if not sizes or min(sizes) < 0:
        raise ValueError("write at least one size, none below 1: 1x4, 4x1x1x1; * is a whole axis")
    return sizes


def _as_budget(value: object) -> object:
    """Take ``25kB`` for a number; refuse what is neither a share nor a count."""
    text = str(value).strip().lower()
    factor = next((f for unit, f in _UNITS.items() if text.endswith(unit)), 1)
    try:
        number = float(text.rstrip("bgkm ")) * factor
    except ValueError:
        return value
    if (0 < number < 1 and factor == 1) or (1 <= number < math.inf and number.is_integer()):
        return int(number) if number >= 1 else number
    raise ValueError("write a share of what there is, above 0 and below 1, or a whole number")


_UNITS: Final = {"kb": 1e3, "mb": 1e6, "gb": 1e9}

Share: TypeAlias = Annotated[float, BeforeValidator(_as_share), Field(ge=0, lt=1)]
Shares: TypeAlias = Annotated[Mapping[str, Share], BeforeValidator(_as_shares)]
Pattern: TypeAlias = Annotated[
    tuple[int, int],
    BeforeValidator(_as_pattern),
    PlainSerializer(lambda pattern: ":".join(map(str, pattern)), when_used="json"),
]
"""N:M: how many stay of how many."""
Sizes: TypeAlias = Annotated[
    tuple[int, ...],
    BeforeValidator(_as_block),
    PlainSerializer(lambda sizes: "x".join(str(n or "*") for n in sizes), when_used="json"),
]
"""The sizes of a block along each axis; 0 is a whole axis."""
Budget: TypeAlias = Annotated[int | float, BeforeValidator(_as_budget)]
"""What may be left: a share below 1, or a number of bytes or parameters."""
