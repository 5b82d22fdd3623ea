"""Which samples an epoch takes, and in which order, for data that can be read anywhere."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from onnxpress.data.batch import Array
from onnxpress.data.signature import is_float
from onnxpress.errors import UsageError

Positions: TypeAlias = npt.NDArray[np.int64]


def class_of_each(labels: Array, name: str) -> Positions:
    """Return the class of every sample: class indices as they are, of rows the largest entry.

    Raises:
        UsageError: If labels are neither, so that there are no classes to balance.
    """
    if labels.ndim == 2 and labels.shape[1] > 1:  # noqa: PLR2004  (one-hot, or probabilities)
        largest: Positions = labels.argmax(axis=1)
        return largest
    if labels.size != len(labels) or is_float(labels.dtype):
        raise UsageError(
            f"balanced sampling needs class labels, and those of {name} are "
            f"{labels.dtype}{list(labels.shape)}"
        )
    indices: Positions = labels.reshape(-1).astype(np.int64)
    return indices


def balanced(classes: Positions, rng: np.random.Generator) -> Positions:
    """Return as many positions as there are samples, every class equally often, shuffled.

    Of a class with more samples than its share a new random part is taken each time; of
    one with fewer, every sample is taken as often as every other, but for a random rest.
    Shares that do not come out even differ by one.
    """
    _, index, counts = np.unique(classes, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(index, kind="stable"), np.cumsum(counts)[:-1])
    shares = np.full(len(counts), len(classes) // len(counts))
    shares[rng.permutation(len(counts))[: len(classes) % len(counts)]] += 1
    drawn = [_draw(of_class, share, rng) for of_class, share in zip(members, shares, strict=True)]
    return rng.permutation(np.concatenate(drawn))


def _draw(of_class: Positions, count: int, rng: np.random.Generator) -> Positions:
    times, rest = divmod(count, len(of_class))
    return np.concatenate([np.tile(of_class, times), rng.permutation(of_class)[:rest]])
