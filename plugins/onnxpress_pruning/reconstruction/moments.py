"""Second moments of a layer's inputs over calibration data, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from onnxpress_pruning.reconstruction.choices import Matrix
from onnxpress_pruning.reconstruction.features import features_of

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress_pruning.reconstruction.product import Product

Pair: TypeAlias = "tuple[Product, Product]"
"""A layer as it is now, and as it was."""

WIDEST: Final = 4096
"""Columns whose moments are kept together; a wider layer is treated in parts (see `spans`)."""

_UNIT: Final = 64  # divisible by M of the usual N:M patterns
_ROUNDING: Final = 1e-6  # sums of a batch are float32


@dataclass
class Moments:
    """Sums over samples for some columns of a layer.

    Attributes:
        columns: Which columns.
        columns_before: Which columns these were in the layer as it was.
        own: Σ x̂ x̂ᵀ of shape (groups, columns, columns): x̂ is what the layer is fed now.
        cross: Σ x x̂ᵀ, where x is what it was fed before.
        sum_now: Σ x̂, of shape (groups, columns).
        sum_before: Σ x.
        samples: How many were summed.
    """

    columns: slice
    columns_before: slice
    own: Matrix
    cross: Matrix
    sum_now: Matrix
    sum_before: Matrix
    samples: int = 0

    def add(self, now: Array, before: Array) -> None:
        """Add samples: X̂ and X of all columns, of shape (groups, columns, samples)."""
        x_now, x_before = now[:, self.columns], before[:, self.columns_before]
        own = x_now @ x_now.swapaxes(1, 2)
        self.own += own
        self.cross += own if before is now else x_before @ x_now.swapaxes(1, 2)
        self.sum_now += x_now.sum(axis=2, dtype=np.float64)
        self.sum_before += x_before.sum(axis=2, dtype=np.float64)
        self.samples += now.shape[2]

    def centred(self) -> Moments:
        """Return the moments of what differs from the mean: for layers whose bias may change."""
        count = max(self.samples, 1)
        spread_now = self.sum_now[:, None, :] / count
        own = self.own - self.sum_now[..., None] * spread_now
        # What is left of an input that never changes is rounding.
        still = np.einsum("gii->gi", own) <= _ROUNDING * np.einsum("gii->gi", self.own)
        cross = self.cross - self.sum_before[..., None] * spread_now
        own[still] = 0
        own.swapaxes(1, 2)[still] = 0
        cross.swapaxes(1, 2)[still] = 0
        return replace(self, own=own, cross=cross)


def spans(now: Product, before: Product) -> list[tuple[slice, slice]]:
    """Cut the columns of a layer into parts no longer than `WIDEST`, now and as they were.

    Between parts, correlations of inputs are taken for zero: moments are block-diagonal.
    Parts are whole kernel positions where one has no more than `WIDEST` channels, else
    multiples of 64 channels.  A layer that lost columns is not cut.
    """
    columns, columns_before = now.places.shape[2], before.places.shape[2]
    if columns != columns_before:
        return [(slice(0, columns), slice(0, columns_before))]
    unit = now.channels if now.positions > 1 and now.channels <= WIDEST else _UNIT
    parts = -(-columns // WIDEST)
    step = -(-columns // (parts * unit)) * unit
    cut = [slice(at, min(at + step, columns)) for at in range(0, columns, step)]
    return list(zip(cut, cut, strict=True))


def second_moments(
    pairs: Sequence[Pair],
    now: Iterable[Array],
    before: Iterable[Array] | None,
    opset: int,
) -> list[list[Moments]]:
    """Return the moments of layers that read the same tensor, part by part.

    Args:
        pairs: Each layer as it is now, and as it was.
        now: What they are fed, batch by batch.
        before: The same in the model as it was; None if they are fed the same in both.
        opset: The operator set of the layers.
    """
    found = [
        [_nothing(now_, before_, *span) for span in spans(now_, before_)] for now_, before_ in pairs
    ]
    widest = [max(product.places.shape[2] for product in pair) for pair in pairs]
    cuts = [
        (features_of(now_, opset, columns), features_of(before_, opset, columns))
        for (now_, before_), columns in zip(pairs, widest, strict=True)
    ]
    batches = ((fed, fed) for fed in now) if before is None else zip(now, before, strict=True)
    for fed, wanted in batches:
        for (cut_now, cut_before), moments in zip(cuts, found, strict=True):
            parts = cut_now(fed)
            others = None if fed is wanted else cut_before(wanted)
            for part in parts:
                other = part if others is None else next(others)
                for moment in moments:
                    moment.add(part, other)
    return found


def _nothing(now: Product, before: Product, columns: slice, columns_before: slice) -> Moments:
    groups = len(now.places)
    width, width_before = columns.stop - columns.start, columns_before.stop - columns_before.start
    return Moments(
        columns,
        columns_before,
        np.zeros((groups, width, width)),
        np.zeros((groups, width_before, width)),
        np.zeros((groups, width)),
        np.zeros((groups, width_before)),
    )
