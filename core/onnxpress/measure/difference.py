"""How far the outputs of one model are from those of another, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from onnxpress.data.batch import Array

_CLASSES_NDIM: Final = 2


class Difference:
    """Gathers differences over batches in constant memory."""

    def __init__(self) -> None:
        self._squares = 0.0
        self._reference_squares = 0.0
        self._largest = 0.0
        self._not_finite = 0
        self._agreeing = 0
        self._samples = 0

    def update(self, outputs: Mapping[str, Array], reference: Mapping[str, Array]) -> None:
        """Take in one batch: the outputs that both have in the same shape, by name."""
        shared = [name for name in reference if _comparable(outputs.get(name), reference[name])]
        for name in shared:
            self._add(outputs[name].astype(np.float64), reference[name].astype(np.float64))
        if shared and _has_classes(reference[shared[0]]):
            self._count_agreement(outputs[shared[0]], reference[shared[0]])

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, JSON-ready.

        Returns:
            ``relative_l2``: the norm of the difference by that of the reference, None if
            the latter is 0; ``max_abs``: the largest difference of one number;
            ``not_finite``: how many numbers are infinite or NaN where the reference's are
            not (they count in nothing else); ``top1_agreement``: the share of samples whose
            largest value is in the same place, None where the first output has no classes
            (is not of shape (samples, at least 2)).
        """
        norm = math.sqrt(self._reference_squares)
        return {
            "relative_l2": math.sqrt(self._squares) / norm if norm else None,
            "max_abs": self._largest,
            "not_finite": self._not_finite,
            "top1_agreement": self._agreeing / self._samples if self._samples else None,
        }

    def _add(self, ours: Array, theirs: Array) -> None:
        finite = np.isfinite(theirs)
        both = finite & np.isfinite(ours)
        gap = np.abs(ours[both] - theirs[both])
        self._squares += float(np.sum(gap**2))
        self._reference_squares += float(np.sum(theirs[finite] ** 2))
        self._largest = max(self._largest, float(gap.max(initial=0.0)))
        self._not_finite += int(np.sum(finite & ~both))

    def _count_agreement(self, ours: Array, theirs: Array) -> None:
        self._agreeing += int(np.sum(ours.argmax(axis=1) == theirs.argmax(axis=1)))
        self._samples += len(theirs)


def _comparable(ours: Array | None, theirs: Array) -> bool:
    return ours is not None and ours.shape == theirs.shape and theirs.dtype.kind in "fiub"


def _has_classes(array: Array) -> bool:
    return array.ndim == _CLASSES_NDIM and array.shape[1] > 1
