"""Criteria from first derivatives of the loss: snip, taylor, fisher."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from onnxpress.graph.weights import MULTIPLIED
from onnxpress_pruning.criteria.criterion import (
    ChannelScores,
    Criterion,
    ElementScores,
    Scores,
    Subject,
)
from onnxpress_pruning.criteria.passes import for_groups, open_targets
from onnxpress_pruning.criteria.slices import added, ranked_weights
from onnxpress_pruning.criteria.weights import floats

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnxpress.channels import Group, Member
    from onnxpress.data.batch import Array
    from onnxpress.graph.weights import Weight
    from onnxpress_pruning.criteria.passes import Pass


class Saliency(Criterion, ABC):
    """A criterion that scores weights by how the loss on labelled data depends on them.

    Of channels it scores what `ranked_weights` says: kernels and the scales of normalisations.
    """

    needs: ClassVar = "labels"

    def channels(self, subject: Subject, groups: Sequence[Group]) -> ChannelScores:
        return super().channels(for_groups(subject, groups), groups)


@final
class Snip(Saliency):
    """``|w·g| / Σ|w·g|``, where g is the gradient of the loss on all the data (Lee et al. 2019).

    Equation 5 with all connections there; w·g is summed with its sign over the data, and the
    sum in the denominator is over all targets.  Published with all weights ranked together
    (scope=global), on one batch, before training.
    """

    name: ClassVar[str] = "snip"

    def elements(self, subject: Subject) -> ElementScores:
        slope, weights = open_targets(subject, self.name)
        mean = mean_gradients(slope.gradients(list(weights)))
        scores = {n: np.abs(floats(w) * mean[n]) for n, w in weights.items()}
        total = sum(float(s.sum(dtype=np.float64)) for s in scores.values()) or 1.0
        return looked_up({name: score / total for name, score in scores.items()})


@final
class Taylor(Saliency):
    """First-order Taylor expansion of the loss (Molchanov et al. 2019, eq. 8), squared.

    Of single weights ``(w·g)²``, of channels ``(Σ w·g)²`` over all weights of a filter, both in
    the mean over batches.  Of a channel only what produces it counts, and what several layers
    produce together, as along a residual trunk, is summed.
    """

    name: ClassVar[str] = "taylor"

    def elements(self, subject: Subject) -> ElementScores:
        slope, weights = open_targets(subject, self.name)
        squares = Mean()
        for found in slope.gradients(list(weights)):
            squares.add({n: np.square(floats(weights[n]) * g) for n, g in found.arrays.items()})
        return looked_up(squares.arrays)

    def channels(self, subject: Subject, groups: Sequence[Group]) -> ChannelScores:
        counted = {group.name: producing(group, subject) for group in groups}
        used = {member.tensor for members in counted.values() for member in members}
        targets = (w for w in for_groups(subject, groups).targets if w.name in used)
        slope, weights = open_targets(replace(subject, targets=tuple(targets)), self.name)
        scores = Mean()
        for found in slope.gradients(list(weights)):
            products = {n: floats(weights[n]) * g for n, g in found.arrays.items()}
            scores.add({g.name: _squared(g, counted[g.name], products) for g in groups})
        means = scores.arrays
        return lambda group: means[group.name]


@final
class Fisher(Saliency):
    """``½ F w²``, with the diagonal ``F = mean g²`` of the empirical Fisher information.

    g is the gradient of the loss of one sample: the model runs sample by sample, on all
    cores.  (Theis et al. 2018; the square of the gradient of a batch is something else, and
    near zero for a trained model.)  Of channels: the sum over the slices, as by default.
    """

    name: ClassVar[str] = "fisher"

    def elements(self, subject: Subject) -> ElementScores:
        slope, weights = open_targets(subject, self.name)
        squares = Mean()
        for found in slope.gradients(list(weights), single=True):
            squares.add({name: np.square(g) for name, g in found.arrays.items()})
        fisher = squares.arrays
        return looked_up({n: fisher[n] * np.square(floats(w)) / 2 for n, w in weights.items()})


class Mean:
    """The weighted mean of arrays by name, added up in the order in which they come."""

    def __init__(self) -> None:
        self._sums: dict[str, Array] = {}
        self._weight = 0.0

    def add(self, arrays: Mapping[str, Array], weight: float = 1) -> None:
        """Take in one array of every name; in float32, or float64 if they are."""
        self._weight += weight
        for name, array in arrays.items():
            wide = np.promote_types(array.dtype, np.float32)
            term = np.multiply(array, weight, dtype=wide)
            if name in self._sums:
                self._sums[name] += term
            else:
                self._sums[name] = term

    @property
    def arrays(self) -> dict[str, Array]:
        """The means so far."""
        return {name: total / self._weight for name, total in self._sums.items()}


def mean_gradients(passes: Iterable[Pass]) -> dict[str, Array]:
    """Return the gradients of the mean loss over all samples, from those of batches."""
    mean = Mean()
    for found in passes:
        mean.add(found.arrays, found.size)
    return mean.arrays


def looked_up(scores: Mapping[str, Scores]) -> Callable[[Weight], Scores]:
    """Return the scores of weights by the name of the tensor."""
    return lambda weight: scores[weight.name]


def producing(group: Group, subject: Subject) -> list[Member]:
    """Return the kernels and matrices that make the channels of a group.

    That is all that counts if there are none, as for channels that only a normalisation scales.
    """
    ranked = ranked_weights(subject.model)
    members = [m for m in group.members if m.tensor in ranked]
    outputs = [m for m in members if m.side == "output" and ranked[m.tensor].role in MULTIPLIED]
    return outputs or members


def _squared(group: Group, members: Sequence[Member], products: Mapping[str, Array]) -> Scores:
    """Return ``(Σ w·g)²`` over each slice, summed over the tensors of a group."""
    total = np.zeros(group.size)
    for member in members:
        total += np.square(added(products[member.tensor], member, group.size))
    return total
