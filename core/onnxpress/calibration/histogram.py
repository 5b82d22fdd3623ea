"""A histogram of fixed size that values stream into, whatever their range."""

from __future__ import annotations

from typing import Final, final

import numpy as np

from onnxpress.calibration.method import Range
from onnxpress.data.batch import Array

_PER_OCTAVE: Final = 128  # bins from one power of two to the next: 7 bits of a float32's fraction
_HALF: Final = 16 * _PER_OCTAVE  # bins on either side of zero
_SHIFT: Final = 16  # what is left of a float32 without its lower bits: exponent and 7 bits
_BLOCK: Final = 1 << 16  # elements; scratch arrays stay in the processor's cache


@final
class Histogram:
    """Counts of values in bins that are as fine for small values as for large ones.

    A bin holds the float32 numbers that agree in sign, exponent and 7 bits of the
    fraction, so its width is about 1 % of its values, and one outlier makes no other
    bin coarser.  Bins cover the 16 octaves below the largest magnitude; what is smaller
    still counts as zero.  It does not matter how values are cut into batches.

    Attributes:
        counts: Counts by bin, from the most negative to the largest; int64 of shape (4096).
        span: The smallest and the largest value.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(2 * _HALF, np.int64)
        self.span = Range(np.inf, -np.inf)
        self._base = 0  # the shifted bits of the numbers in the first bin above zero

    @property
    def edges(self) -> Array:
        """Where bins begin and end: float64 of shape (4097)."""
        bits = np.arange(self._base + 1, self._base + _HALF + 1, dtype=np.int32) << _SHIFT
        above = np.nan_to_num(bits.view(np.float32)).astype(np.float64)
        return np.concatenate([-above[::-1], [0.0], above])

    def add(self, values: Array, span: Range) -> None:
        """Count values: a finite float32 array of one axis, and its extremes."""
        self.span |= span
        self._reach(max(self.span.high, -self.span.low))
        for start in range(0, values.size, _BLOCK):
            bins = self._bins(values[start : start + _BLOCK])
            self.counts += np.bincount(bins, minlength=2 * _HALF)

    def repeat(self, value: float, count: int) -> None:
        """Count a value, which lies within `span`, that many times."""
        self.counts[self._bins(np.array([value], np.float32))] += count

    def quantile(self, share: float) -> float:
        """Return the value below which a share of all values lies.

        Values are taken to be spread evenly over their bin.
        """
        below = np.concatenate([[0], np.cumsum(self.counts)])
        found = float(np.interp(share * below[-1], below, self.edges))
        return min(max(found, self.span.low), self.span.high)

    def _bins(self, values: Array) -> Array:
        places = np.abs(values).view(np.int32) >> _SHIFT
        places -= self._base
        np.maximum(places, 0, out=places)
        return _HALF + np.where(values < 0, ~places, places)

    def _reach(self, peak: float) -> None:
        """Move the bins up so that the last octave is that of `peak`."""
        octave = int(np.float32(peak).view(np.int32) >> 23)
        base = max((octave + 1) * _PER_OCTAVE - _HALF, 0)
        if (step := base - self._base) > 0:
            above, below = self.counts[_HALF:], self.counts[_HALF - 1 :: -1]
            self.counts = np.concatenate([_moved(below, step)[::-1], _moved(above, step)])
            self._base = base


def _moved(counts: Array, step: int) -> Array:
    """Move counts towards zero; what falls below the first bin stays in it."""
    near, rest = counts[: step + 1], counts[step + 1 :]
    return np.concatenate([[near.sum()], rest, np.zeros(len(near) - 1, counts.dtype)])
