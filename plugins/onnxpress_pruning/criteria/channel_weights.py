"""Criteria that rank whole channels by nothing but the weights: fpgm, bn-scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from onnxpress.graph.weights import MULTIPLIED
from onnxpress_pruning.criteria.criterion import ChannelScores, Criterion, Scores, Subject
from onnxpress_pruning.criteria.slices import added, by_member, normalized, ranked_weights
from onnxpress_pruning.criteria.weights import floats

if TYPE_CHECKING:
    from onnxpress.channels import Group, Member
    from onnxpress.graph.weights import Weight


@final
class Fpgm(Criterion):
    """The sum of distances to all other filters (He et al. 2019, eq. 5): far ones stay.

    Only what produces the channels counts, in the mean over the producers of a group.  What
    is close to all others can be replaced by them, be it large or small.
    """

    name: ClassVar[str] = "fpgm"

    def channels(self, subject: Subject, groups: Sequence[Group]) -> ChannelScores:
        del groups
        weights = {n: w for n, w in ranked_weights(subject.model).items() if w.role in MULTIPLIED}

        def channels(group: Group) -> Scores:
            def score(weight: Weight, member: Member) -> Scores:
                return _distances(_filters(weight, member, group.size))

            producers = {m.tensor for m in group.members if m.side == "output"} & weights.keys()
            local = by_member(group, {n: weights[n] for n in producers}, score)
            return normalized(np.mean(local, axis=0) if local else np.ones(group.size))

        return channels


def _filters(weight: Weight, member: Member, size: int) -> Scores:
    """Return one row for each channel: all the weights that make it, in storage order."""
    slices = np.moveaxis(floats(weight), member.axis, 0)
    slices = slices.reshape(slices.shape[0], -1).astype(np.float64)
    of_channel = [slices[member.channel == channel].ravel() for channel in range(size)]
    longest = max(map(len, of_channel), default=0)
    rows = np.zeros((size, longest))
    for row, values in zip(rows, of_channel, strict=True):
        row[: len(values)] = values
    return rows


def _distances(rows: Scores) -> Scores:
    """Return for each row the sum of its Euclidean distances to all rows; memory O(rows)."""
    return np.array([np.linalg.norm(rows - row, axis=1).sum() for row in rows])


@final
class BnScale(Criterion):
    """|scale| in the normalisations of a channel (Liu et al. 2017), in the mean over them.

    It says something only of models that were trained with an l1 penalty on the scales
    (network slimming).  Channels that no normalisation scales are left alone, and the report
    says which.
    """

    name: ClassVar[str] = "bn-scale"

    def channels(self, subject: Subject, groups: Sequence[Group]) -> ChannelScores:
        del groups
        weights = {n: w for n, w in ranked_weights(subject.model).items() if w.role == "scale"}

        def channels(group: Group) -> Scores:
            def score(weight: Weight, member: Member) -> Scores:
                return added(np.abs(floats(weight)), member, group.size)

            local = by_member(group, weights, score)
            if local:
                mean: Scores = np.mean(local, axis=0)
                return mean
            subject.job.decline(group.name, "no normalisation scales these channels")
            return np.full(group.size, np.inf)

        return channels
