"""Types of options that pruning steps share, as users write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field


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


Share: TypeAlias = Annotated[float, BeforeValidator(_as_share), Field(ge=0, lt=1)]
Shares: TypeAlias = Annotated[Mapping[str, Share], BeforeValidator(_as_shares)]
