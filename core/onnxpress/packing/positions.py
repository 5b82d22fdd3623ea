"""Which parts of a tensor are kept, as bytes: a bit for each, or the gaps between the kept."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxpress.data.batch import Array

Mask: TypeAlias = npt.NDArray[np.bool_]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Positions: TypeAlias = npt.NDArray[np.int64]

BITS: Final = 8

SKIP: Final = 15
"""The code, among four-bit gaps, of a step without an element; all others are gaps."""


def planes_length(size: int) -> int:
    """Return how many bytes hold `size` bits."""
    return -(-size // BITS)


def to_planes(mask: Mask) -> Bytes:
    """Return a flat mask as bit planes of shape (1, bytes).

    With m bytes, bit p of byte j (p = 0 is the lowest) stands for element p·m + j, so that
    all elements of a bit lie in a row: unpacking is then one operation on a vector per bit.
    """
    length = planes_length(mask.size)
    padded = np.zeros(BITS * length, np.bool_)
    padded[: mask.size] = mask
    return np.packbits(padded.reshape(BITS, length), axis=0, bitorder="little")


def from_planes(planes: Bytes, size: int) -> Mask:
    """Return the first `size` elements of a mask; the way back from `to_planes`."""
    bits = np.unpackbits(planes.reshape(1, -1), axis=0, bitorder="little")
    return bits.reshape(-1)[:size].astype(np.bool_)


def with_stops(kept: Positions, longest: int) -> Positions:
    """Return ascending positions with stops in between, so that no gap is above `longest`."""
    ends, rests = _divided(kept, longest)
    filled = np.full(int(ends[-1]) + 1 if kept.size else 0, longest, np.int64)
    filled[ends] = rests
    positions: Positions = np.cumsum(filled)
    return positions


def to_skips(kept: Positions) -> Bytes:
    """Return ascending positions as gaps of at most ``SKIP - 1``, with as many skips as it takes.

    A skip goes on by ``SKIP - 1`` and stands for no element; the first gap counts from 0.
    """
    ends, rests = _divided(kept, SKIP - 1)
    codes = np.full(int(ends[-1]) + 1 if kept.size else 0, SKIP, np.uint8)
    codes[ends] = rests
    return codes


def from_skips(codes: Array) -> Positions:
    """Return the positions; the way back from `to_skips`."""
    steps = codes.reshape(-1).astype(np.int64)
    positions: Positions = np.cumsum(np.minimum(steps, SKIP - 1))[steps < SKIP]
    return positions


def _divided(kept: Positions, longest: int) -> tuple[Positions, Positions]:
    """Divide long steps; return which of the parts are the last ones, and how long those are."""
    steps = np.diff(kept, prepend=0)
    stops = np.maximum(steps - 1, 0) // longest
    return np.cumsum(stops + 1) - 1, steps - stops * longest


def to_gaps(positions: Positions) -> Bytes:
    """Return ascending positions as differences of at most 255; the first counts from 0."""
    return np.diff(positions, prepend=0).astype(np.uint8)


def from_gaps(gaps: Array) -> Positions:
    """Return the positions; the way back from `to_gaps`."""
    positions: Positions = np.cumsum(gaps.reshape(-1).astype(np.int64))
    return positions
