"""Labels of samples that are mixed: class indices become probabilities."""

from __future__ import annotations

import numpy as np

from onnxpress.data.augment.inputs import described
from onnxpress.data.batch import Array
from onnxpress.data.signature import is_float
from onnxpress.errors import DataError, UsageError


def blend(array: Array, others: Array, shares: Array) -> Array:
    """Return ``share · array + (1 - share) · array[others]``, one share for every sample."""
    share = shares.astype(array.dtype).reshape((-1,) + (1,) * (array.ndim - 1))
    # The same, in fewer passes: other + share · (array - other).
    blended = array[others]
    difference = array - blended
    difference *= share
    blended += difference
    return blended


def blend_labels(
    labels: Array | None, others: Array, shares: Array, classes: int | None, who: str
) -> Array | None:
    """Blend labels as `blend` does samples; None stays None.

    Raises:
        UsageError: If they are class indices, and nobody knows how many classes there are.
        DataError: If a class index is out of range.
    """
    if labels is None:
        return None
    values = labels if is_float(labels.dtype) else _probabilities(labels, classes, who)
    return blend(values, others, shares)


def _probabilities(labels: Array, classes: int | None, who: str) -> Array:
    """Return rows with a single 1 for class indices; one-hot rows as they are."""
    if classes is None:
        raise UsageError(
            f"{who} turns class indices into probabilities, so it must know how many classes "
            f"there are; write {who}:classes=10, if there are 10"
        )
    if classes == 1 or labels.shape[1:] == (classes,):  # a yes or no, or rows as wanted
        return labels.astype(np.float32)
    if labels.size != len(labels):
        raise UsageError(
            f"{who} blends a class index or {classes} probabilities for every sample, and labels "
            f"are {described(labels)}"
        )
    indices = labels.reshape(-1)
    if (wrong := (indices < 0) | (indices >= classes)).any():
        raise DataError(f"label {indices[wrong][0]} is out of range: {who} has classes={classes}")
    rows = np.zeros((len(indices), classes), np.float32)
    rows[np.arange(len(indices)), indices.astype(np.int64)] = 1
    return rows
