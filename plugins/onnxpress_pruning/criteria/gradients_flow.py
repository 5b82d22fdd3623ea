"""``synflow``: what flows through a weight when all weights are positive; needs no data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, final

import numpy as np
from pydantic import Field

from onnxpress_pruning.criteria.criterion import (
    ChannelScores,
    Criterion,
    ElementScores,
    Scores,
    Subject,
)
from onnxpress_pruning.criteria.gradients import looked_up
from onnxpress_pruning.criteria.passes import check_reached, check_stored, for_groups
from onnxpress_pruning.criteria.slices import from_elements

if TYPE_CHECKING:
    from onnxpress.channels import Group
    from onnxpress.data.batch import Array
    from onnxpress_pruning.criteria.positive import PositiveFlow

_FIRST: Final = -120  # exponent of two of what goes in the first iteration
_RANGE: Final = 240  # exponents that float32 has room for


@final
class Synflow(Criterion):
    """``|θ ⊙ ∂R/∂θ|``, where R is the sum of what comes out for ones (Tanaka et al. 2020, eq. 1).

    All weights are taken by their magnitude, so that R is the sum over all paths of the products
    of magnitudes.  What adds to the flow or takes from it does not take part: biases, and the
    shifts and running means of normalisations are zero (as they are before training, where
    this was published); running variances stay.  Then the scores of every layer add up to R.

    For single weights it iterates as published: in step k of `iterations` all but the share
    ``kept^(k/n)`` of all targets are removed, and the rest is scored again; a weight scores by
    the iteration in which it went, then by its score in it.  Give ``kept`` = 1 - sparsity for
    exactly the published mask; any other sparsity cuts the same ranking elsewhere.  All
    weights are ranked together, so use scope=global: then no layer loses all its weights
    before the others do.  For channels it scores once, and sums over slices.

    Layers whose scores are all zero, such as gates that large inputs open wide, are left alone.
    """

    name: ClassVar[str] = "synflow"

    iterations: int = Field(default=100, ge=1, le=_RANGE - 1, description="how often to score")
    kept: float = Field(
        default=0.01, gt=0, le=1, description="share of the weights left after all iterations"
    )

    def elements(self, subject: Subject) -> ElementScores:
        flow = self._open(subject)
        alive = {w.name: np.abs(w.array()).astype(np.float32) for w in subject.targets}
        still = _without_flow(alive, flow.scores(alive), subject)
        ranks = {
            n: np.full(a.shape, np.inf if n in still else 0, np.float32) for n, a in alive.items()
        }
        flowing = {name: array for name, array in alive.items() if name not in still}
        total = sum(array.size for array in flowing.values())
        for k in subject.job.track(range(1, self.iterations + 1), self.name, self.iterations):
            keep = max(round(total * self.kept ** (k / self.iterations)), 1)
            _remove(flowing, ranks, flow.scores(alive), keep, k)
        _remove(flowing, ranks, flow.scores(alive), 0, self.iterations + 1)
        return looked_up(ranks)

    def channels(self, subject: Subject, groups: Sequence[Group]) -> ChannelScores:
        counted = for_groups(subject, groups)
        flow = self._open(counted)
        scores = flow.scores({w.name: np.abs(w.array()) for w in counted.targets})
        return from_elements(looked_up(scores), subject.model, groups)

    def _open(self, subject: Subject) -> PositiveFlow:
        from onnxpress_pruning.criteria.positive import PositiveFlow

        check_stored(subject, self.name)
        names = [weight.name for weight in subject.targets]
        flow = PositiveFlow(subject.model, names, subject.job.rules)
        check_reached(subject, self.name, flow.unreached)
        return flow


def _without_flow(
    alive: Mapping[str, Array], scores: Mapping[str, Scores], subject: Subject
) -> frozenset[str]:
    """Return the tensors that all score zero, such as those of gates that are wide open."""
    still = frozenset(n for n, array in alive.items() if array.any() and not scores[n].any())
    for layer in subject.model.layers:
        for weight in layer.tensors:
            if weight.name in still:
                subject.job.decline(
                    layer.name,
                    f"synflow can't rank {weight.name}: what flows does not depend on how much "
                    "passes through it, as behind a Sigmoid that is at its end",
                )
    return still


def _remove(
    alive: dict[str, Array],
    ranks: Mapping[str, Scores],
    scores: Mapping[str, Scores],
    keep: int,
    iteration: int,
) -> None:
    """Remove all weights but the `keep` of highest score, and write down their ranks.

    Args:
        alive: Magnitudes, zero where a weight is gone; changed in place.
        ranks: What is written to: a float32 whose exponent says the iteration, and whose
            mantissa the order within it.
        scores: The scores of this iteration.
        keep: How many stay.
        iteration: Which it is, from 1.
    """
    names = list(alive)
    left = {name: np.flatnonzero(alive[name]) for name in names}
    flat = np.concatenate([scores[name].ravel()[left[name]] for name in names])
    order = np.argsort(flat, kind="stable")[: max(flat.size - keep, 0)]
    place = np.full(flat.size, -1.0, np.float32)
    place[order] = np.arange(order.size, dtype=np.float64) / max(order.size, 1)
    start = 0
    for name in names:
        mine = place[start : start + left[name].size]
        start += left[name].size
        gone = mine >= 0
        at = left[name][gone]
        ranks[name].reshape(-1)[at] = np.ldexp(1 + mine[gone], _FIRST + iteration)
        alive[name].reshape(-1)[at] = 0
