"""Single weights, compared only with those of the same output channel (Wanda's way)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from onnxpress_pruning.structures.structure import Choice, MaskStructure

if TYPE_CHECKING:
    from onnxpress.graph.weights import Weight
    from onnxpress_pruning.criteria.criterion import ElementScores, Scores
    from onnxpress_pruning.ranking import Mask
    from onnxpress_pruning.targets import Target


@final
@dataclass(frozen=True)
class PerOutput(MaskStructure):
    """Of every output channel, the same share of weights goes.

    The count for each channel is the share times its weights, half to even, and at least
    one weight of it stays.  A tensor without an output axis counts as one channel.

    Attributes:
        of: ``all`` or ``remaining``, as for `Distribution`.
    """

    of: Literal["all", "remaining"] = "all"

    def choices(
        self, targets: Sequence[Target], scores: ElementScores, share: float | None = None
    ) -> Iterator[Choice]:
        for target in targets:
            wanted = target.sparsity if share is None else share
            goes, bound = self._lowest(target.weight, scores(target.weight), wanted)
            bounds = "an output channel keeps at least one weight" if bound else ""
            reason = bounds or _why_nothing(target.weight, wanted)
            yield Choice(goes, bounds, f"{target.weight.name}: {reason}")

    def _lowest(self, weight: Weight, scores: Scores, share: float) -> tuple[Mask, bool]:
        """Return what goes, and whether a channel had to keep its last weight."""
        ranks = np.where(weight.array() == 0, -np.inf, np.nan_to_num(scores, nan=np.inf))
        rows = _rows(weight, ranks)
        zeros = np.sum(rows == -np.inf, axis=1)
        length = rows.shape[1]
        among = length - zeros if self.of == "remaining" else np.full_like(zeros, length)
        wanted = np.round(share * among).astype(int)
        wanted += zeros if self.of == "remaining" else 0
        count = np.minimum(wanted, length - 1)
        order = np.argsort(rows, axis=1, kind="stable")
        lowest = np.empty(rows.shape, bool)
        np.put_along_axis(lowest, order, np.arange(length) < count[:, None], axis=1)
        return _unrowed(weight, lowest), bool((count < wanted).any())


def _rows(weight: Weight, array: Scores) -> Scores:
    """Return an array of the shape of a weight with one row for each output channel."""
    if weight.output_axis is None:
        return array.reshape(1, -1)
    rows = np.moveaxis(array, weight.output_axis, 0)
    return rows.reshape(rows.shape[0], -1)


def _unrowed(weight: Weight, rows: Mask) -> Mask:
    """Undo `_rows`, and flatten."""
    if weight.output_axis is None:
        return rows.ravel()
    shape = list(weight.shape)
    first = shape.pop(weight.output_axis)
    return np.moveaxis(rows.reshape(first, *shape), 0, weight.output_axis).ravel()


def _why_nothing(weight: Weight, share: float) -> str:
    channel = weight.size // (1 if weight.output_axis is None else weight.shape[weight.output_axis])
    if round(share * channel) == 0:
        return f"sparsity {share:g} of the {channel:,} weights of an output rounds to none"
    return "there are the zeros that are wanted already, or more"
