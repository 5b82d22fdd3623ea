"""The range that leaves out a small share of the values at both ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from onnxpress.calibration.activations import Activations, Values
from onnxpress.calibration.histogram import Histogram
from onnxpress.calibration.method import Method, Range
from onnxpress.data.batch import Array
from onnxpress.errors import OptionError

_SPARE: Final = 50  # how much more than the share to be cut off is counted exactly
_WORTH: Final = 0.05  # the largest share at either end for which that saves time


@final
@dataclass(frozen=True, slots=True)
class Percentile(Method):
    """Cover a percentage of the values seen: half of the rest is cut off at either end.

    An end on this side of zero is not cut, because every grid holds zero.

    One pass.  Only values near the ends are sorted into bins; where the first batch
    misleads about what is near, a second pass counts all values of that tensor.

    Attributes:
        percentile: How many percent of all values to cover, above 50, at most 100.

    Raises:
        OptionError: If `percentile` is out of bounds.
    """

    name: ClassVar[str] = "percentile"

    percentile: float = 99.99

    def __post_init__(self) -> None:
        if not 50 < self.percentile <= 100:  # noqa: PLR2004
            raise OptionError(f"percentile is {self.percentile}; it lies above 50, at most at 100")

    def ranges(self, activations: Activations) -> Mapping[str, Range]:
        share = (1 - self.percentile / 100) / 2
        near = share * _SPARE if share * _SPARE <= _WORTH else 1.0
        tails = _count(activations.values(), share, near)
        found = {name: tail.range() for name, tail in tails.items()}
        missed = [name for name, span in found.items() if span is None]
        again = _count(activations.values(missed), share, 1.0) if missed else {}
        found.update((name, tail.range()) for name, tail in again.items())
        return {name: span for name, span in found.items() if span is not None}


def _count(stream: Iterable[Values], share: float, near: float) -> dict[str, _Tails]:
    tails: dict[str, _Tails] = {}
    for name, array, span in stream:
        if name not in tails:
            tails[name] = _Tails(share, near)
        tails[name].add(array, span)
    return tails


@final
class _Tails:
    """The distribution of a tensor near its ends.

    Args:
        share: The share of all values to be cut off at either end.
        near: The share of the first batch that counts as near either end; 1 for all.
    """

    def __init__(self, share: float, near: float) -> None:
        self._share, self._near = share, near
        self._histogram = Histogram()
        self._centre = Range(0.0, 0.0)  # values in here are only counted together
        self._inside = 0

    def add(self, values: Array, span: Range) -> None:
        first = not np.isfinite(self._histogram.span.low)
        near = values if first or self._near == 1 else self._outside(values, span)
        self._histogram.add(near, span)
        self._inside += values.size - near.size
        if first and self._near < 1:
            low, high = map(self._histogram.quantile, (self._near, 1 - self._near))
            self._centre = Range(min(low, 0.0), max(high, 0.0))

    def _outside(self, values: Array, span: Range) -> Array:
        outside = values > self._centre.high
        if span.low < self._centre.low:
            outside |= values < self._centre.low
        return values[outside]

    def range(self) -> Range | None:
        """Return the range, None if an end lies where values were only counted together."""
        # Any place inside will do: what is counted from either end stays the same.
        self._histogram.repeat(sum(self._centre) / 2, self._inside)
        self._inside = 0
        low = self._end(-1, self._histogram.span.low, self._centre.low)
        high = self._end(1, self._histogram.span.high, self._centre.high)
        return None if low is None or high is None else Range(low, high)

    def _end(self, sign: int, extreme: float, centre: float) -> float | None:
        """Return the lower end (sign -1) or the upper one (+1)."""
        cut = self._histogram.quantile(self._share if sign < 0 else 1 - self._share)
        if sign * cut <= 0:
            return extreme if sign * extreme <= 0 else 0.0
        return cut if sign * cut >= sign * centre else None
