"""Plain values: what JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """Return a value as JSON holds it.

    Tuples and sets become lists, numpy's arrays and numbers plain ones, infinity and NaN
    None, and what JSON knows nothing of text.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(inner) for inner in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and value - value != 0:
        return None
    return value if isinstance(value, str | int | float | None) else str(value)
