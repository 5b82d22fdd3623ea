"""How far one tensor is from another, gathered over any number of batches in constant memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from onnxpress.data.batch import Array

_CLASSES: Final = 2  # dimensions of an output of class scores: samples, classes
_BLOCK: Final = 1 << 15  # elements that are worked on at a time; fits into the cache as doubles


@dataclass(frozen=True, slots=True)
class Difference:
    """How far tensor b is from tensor a, over all elements that could be compared.

    Attributes:
        name: The tensor's name in both models.
        op_type: The operator that computes it in the first model.
        max_abs: The largest absolute difference of two elements.
        relative_l2: ‖b - a‖ / ‖a‖; None where a is all zero and b is not.
        cosine: The cosine of the angle between a and b; None where one is all zero.
        sqnr_db: 10·log10(‖a‖² / ‖b - a‖²), the signal-to-noise ratio in decibels; None
            where the two are equal.
        top1_agreement: For outputs of shape (samples, at least 2): the share of samples
            whose largest element is at the same place.
        unequal: The share of elements that are not equal; the only figure for text.
        not_finite: Elements that are finite in only one of the two; they count in
            `unequal` and nowhere else.
        other_shape: Batches in which the shapes differed; they count nowhere else.
    """

    name: str
    op_type: str
    max_abs: float
    relative_l2: float | None
    cosine: float | None
    sqnr_db: float | None
    top1_agreement: float | None
    unequal: float
    not_finite: int
    other_shape: int


@dataclass
class Gatherer:
    """Sums from which a `Difference` is made."""

    name: str
    op_type: str = ""
    elements: int = 0
    unequal: int = 0
    not_finite: int = 0
    other_shape: int = 0
    largest: float = 0.0
    squares: float = 0.0  # of b - a
    squares_a: float = 0.0
    squares_b: float = 0.0
    products: float = 0.0
    samples: int = 0
    agreeing: int = 0

    def add(self, a: object, b: object) -> None:
        """Take in the same tensor of both models for one batch."""
        if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
            self._count(np.array([a == b]))  # sequences and maps
        elif a.shape != b.shape:
            self.other_shape += 1
        elif a.dtype.kind in "OSU" or b.dtype.kind in "OSU":
            self._count(a == b)
        else:
            self._add_numbers(a, b)

    def result(self) -> Difference:
        """Return the figures for all that was taken in."""
        norms = math.sqrt(self.squares_a) * math.sqrt(self.squares_b)
        return Difference(
            name=self.name,
            op_type=self.op_type,
            max_abs=self.largest,
            relative_l2=_root_of_ratio(self.squares, self.squares_a),
            cosine=self.products / norms if norms else None,
            sqnr_db=_decibels(self.squares_a, self.squares),
            top1_agreement=self.agreeing / self.samples if self.samples else None,
            unequal=self.unequal / max(1, self.elements),
            not_finite=self.not_finite,
            other_shape=self.other_shape,
        )

    def _count(self, same: Array) -> None:
        self.elements += same.size
        self.unequal += int(same.size - np.count_nonzero(same))

    def _add_numbers(self, a: Array, b: Array) -> None:
        if a.ndim == _CLASSES and a.shape[1] > 1 and a.dtype.kind != "b":
            self.samples += len(a)
            self.agreeing += int(np.count_nonzero(a.argmax(axis=1) == b.argmax(axis=1)))
        a, b = a.reshape(-1), b.reshape(-1)
        for start in range(0, a.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            # Sums are of doubles: float32 would lose small differences of large tensors.
            self._add_block(a[block].astype(np.float64), b[block].astype(np.float64))

    def _add_block(self, a: Array, b: Array) -> None:
        same = a == b
        finite = np.isfinite(a) & np.isfinite(b)
        if not finite.all():
            same |= np.isnan(a) & np.isnan(b)
            self.not_finite += int(np.count_nonzero(np.isfinite(a) != np.isfinite(b)))
            self._count(same[~finite])
            a, b, same = a[finite], b[finite], same[finite]
        self._count(same)
        gap = b - a
        self.squares_a += _product(a, a)
        self.squares_b += _product(b, b)
        self.products += _product(a, b)
        self.squares += _product(gap, gap)
        self.largest = max(self.largest, float(gap.max(initial=0.0)), -float(gap.min(initial=0.0)))


def _product(a: Array, b: Array) -> float:
    # Not a @ b: BLAS would start threads, which wait for those of ONNX Runtime.
    return float(np.einsum("i,i->", a, b))


def _root_of_ratio(numerator: float, denominator: float) -> float | None:
    if denominator:
        return math.sqrt(numerator / denominator)
    return None if numerator else 0.0


def _decibels(signal: float, noise: float) -> float | None:
    if not noise:
        return None
    return 10 * math.log10(signal / noise) if signal else -math.inf
