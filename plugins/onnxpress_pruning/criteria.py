"""What a weight is worth: one function per criterion, from weights to scores.

A criterion returns one floating-point number per weight, in the shape of the weights;
what scores lowest is pruned first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxpress.data.batch import Array

Scores: TypeAlias = npt.NDArray[np.floating[Any]]
Criterion: TypeAlias = Callable[[Array], Scores]


def magnitude(weight: Array) -> Scores:
    """Return |w| (Han et al. 2015); L1 and L2 are the same for single weights."""
    scores: Scores = np.abs(weight)
    return scores
