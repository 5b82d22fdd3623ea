"""Whether two sets of data share samples."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

import numpy as np

from onnxpress.data.batch import Array, Data

ENDLESS: Final = sys.maxsize  # where a range of samples ends that nobody has counted
_EFFORT: Final = 10_000  # numpy's unit: candidate solutions; plain slices need a handful


@dataclass(frozen=True, slots=True)
class Origin:
    """Where samples come from.

    Attributes:
        source: A text that names the place (a file and its array), the array in memory,
            or the object that gives batches.
        rows: The samples in use, counted from the first of the source.
    """

    source: object
    rows: range | Array


def overlaps(a: Data, b: Data) -> str | None:
    """Say how two sets of data share samples, in words for a user; None if nothing shows it.

    Compared is where the samples come from, not what is in them: the same file and
    array, the same memory, the same Python object.  A copy of a file counts as another.
    """
    if a is b:
        return f"both are the same data, {a.name}"
    if a.origin is None or b.origin is None:
        return None
    if a.origin.source is not b.origin.source and _share_memory(a.origin.source, b.origin.source):
        return f"{a.name} and {b.name} share memory"
    if not _same(a.origin.source, b.origin.source):
        return None
    count = _common(a.origin.rows, b.origin.rows)
    if not count:
        return None
    number = "all samples" if count > ENDLESS // 2 else f"{count} samples"
    return f"{a.name} and {b.name} share {number}"


def _same(a: object, b: object) -> bool:
    return a is b or (isinstance(a, str) and isinstance(b, str) and a == b)


def _share_memory(a: object, b: object) -> bool:
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        return False
    try:
        return bool(np.shares_memory(a, b, max_work=_EFFORT))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return False


def _common(a: range | Array, b: range | Array) -> int:
    if isinstance(a, range) and isinstance(b, range):
        return max(0, min(a.stop, b.stop) - max(a.start, b.start))
    if isinstance(a, range):
        a, b = b, a
    inside = (a >= b.start) & (a < b.stop) if isinstance(b, range) else np.isin(a, b)  # type: ignore[operator]
    return int(np.count_nonzero(inside))
