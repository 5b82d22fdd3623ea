"""The slope of a function along a direction: by differences, and by a gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np

from onnxpress.data.batch import Array


@dataclass(frozen=True)
class Differences:
    """What differences say of the slope along one direction.

    Attributes:
        along: The direction.
        slope: The slope.
        doubt: How far the two differences are apart that agree best.
        sides: How far the slopes to both sides are apart: not 0 at a kink.
    """

    along: Mapping[str, Array]
    slope: float
    doubt: float
    sides: float

    def error(self, gradients: Mapping[str, Array]) -> float:
        """Return how far gradients are off, as a share of the slope (see `size`)."""
        found = sum(float(p.sum()) for p in self._products(gradients))
        return abs(found - self.slope) / self.size(gradients)

    def size(self, gradients: Mapping[str, Array]) -> float:
        """Return the slope, or what that of a random direction is likely to be if it is more."""
        squares = sum(float((p**2).sum()) for p in self._products(gradients))
        return max(abs(self.slope), sqrt(squares), 1e-30)

    def _products(self, gradients: Mapping[str, Array]) -> list[Array]:
        return [gradients[n].astype(np.float64) * d for n, d in self.along.items()]


def best(along: Mapping[str, Array], tried: list[tuple[float, float]], ratio: float) -> Differences:
    """Take the differences that agree best, extrapolated to a step of 0 (Richardson 1911).

    Args:
        along: The direction.
        tried: Differences of ever smaller steps, and how far the slopes to both sides are apart.
        ratio: Of a step and the next.
    """
    slopes, factor = [slope for slope, _ in tried], ratio**2
    limits = [(factor * b - a) / (factor - 1) for a, b in pairwise(slopes)]
    apart = [abs(b - a) for a, b in pairwise(limits)]
    best = int(np.argmin([a if np.isfinite(a) else np.inf for a in apart]))
    return Differences(along, limits[best + 1], apart[best], tried[best + 2][1])
