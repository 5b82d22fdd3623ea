"""The schedule ``rigl``: as sparse from the first step to the last, with masks that move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from pydantic import Field

from onnxpress_pruning.schedules import shares
from onnxpress_pruning.schedules.masked import MaskedSchedule

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.training.masking import Moment
    from onnxpress_pruning.pruning import Pruning
    from onnxpress_pruning.schedules.chooser import Chooser
    from onnxpress_pruning.schedules.timing import Span


@final
class RigL(MaskedSchedule):
    """Rigging the lottery (Evci et al. 2020, arXiv:1911.11134): drop and grow.

    Every `frequency` steps the weights of smallest magnitude are dropped, and as many grow
    where the gradient with respect to all weights, that of the last update, is largest.  What
    grows starts at zero, and the optimizer forgets it.  The part that is replaced falls along
    a cosine from `fraction` to nothing at `end`.  The first masks are chosen by the criterion
    of the step (``random`` is that of the paper); what an earlier step pruned may grow.
    """

    name: ClassVar[str] = "rigl"

    fraction: float = Field(
        default=0.3, gt=0, lt=1, description="share of the weights that is replaced at first"
    )
    distribution: Literal["erk", "uniform"] = Field(
        default="erk",
        description="how zeros spread over tensors: erk, small ones stay denser (Erdős-Rényi "
        "kernel); or the same share in each",
    )

    @property
    def wants_gradient(self) -> bool:
        return True

    def check(self, step: Pruning) -> None:
        super().check(step)
        if step.structure != "unstructured":
            raise ValueError("schedule=rigl drops and grows single weights; leave out structure")
        if self.distribution == "erk" and step.sparsities:
            raise ValueError("sparsities need distribution=uniform; erk gives each its share")

    def first(self, chooser: Chooser) -> Mapping[str, Array]:
        wanted = {target.weight.name: target.sparsity for target in chooser.targets}
        if self.distribution == "erk" and wanted:
            shapes = [target.weight.shape for target in chooser.targets]
            spread = shares.erdos_renyi_kernel(shapes, chooser.targets[0].sparsity)
            targets = zip(chooser.targets, spread, strict=True)
            own = tuple(replace(target, sparsity=share) for target, share in targets)
            chooser = replace(chooser, targets=own)
        return chooser.kept(chooser.model, wanted, lambda last: last)

    def changes(self, span: Span, step: int) -> bool:
        return span.begin < step < span.end and span.prunes(step)

    def settles(self, span: Span) -> int:
        del span
        return 0

    def masks(self, moment: Moment, span: Span, chooser: Chooser) -> Mapping[str, Array]:
        del chooser
        part = shares.cosine_fraction(moment.updates, span.end, self.fraction)
        return {
            name: dropped_and_grown(
                moment.weight(name), moment.gradient(name), moment.mask(name), part
            )
            for name in moment.names
        }


def dropped_and_grown(weights: Array, gradient: Array, mask: Array, part: float) -> Array:
    """Return the mask after a part of the weights kept was replaced.

    What was dropped may grow again at once, as in the authors' code; of equal values, the
    first counts as the larger.

    Args:
        weights: The weights.
        gradient: The gradient with respect to all of them.
        mask: True where a weight is kept.
        part: The share of those kept that is replaced; rounded down.
    """
    kept = int(mask.sum())
    count = min(int(part * kept), mask.size - kept)
    stays = _largest(np.where(mask, np.abs(weights), -1).ravel(), kept - count)
    grows = _largest(np.where(stays, -1, np.abs(gradient).ravel()), count)
    return np.asarray((stays | grows).reshape(mask.shape))


def _largest(values: Array, count: int) -> Array:
    """Return where the `count` largest are; of equal ones the first."""
    found = np.zeros(values.size, bool)
    found[np.argsort(-values, kind="stable")[:count]] = True
    return found
