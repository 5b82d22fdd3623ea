"""From scores of single weights to scores of channels: the default way of adding up.

Torch-Pruning's default: for every tensor of the group the sum over the slice of a channel,
producers, consumers and normalisation scales alike; then the mean over the tensors; then
divided by the mean over the channels, so that groups can be ranked together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.graph.weights import MULTIPLIED

if TYPE_CHECKING:
    from onnxpress.channels import Group, Member
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight
    from onnxpress_pruning.criteria.criterion import ChannelScores, ElementScores, Scores


def from_elements(
    elements: ElementScores, model: Model, groups: Sequence[Group] = ()
) -> ChannelScores:
    """Return what scores channels by adding up the scores of single weights.

    Args:
        elements: Scores the weights of one tensor.
        model: The model of the groups.
        groups: Not needed: any group of the model may be asked for.
    """
    del groups
    weights = ranked_weights(model)

    def channels(group: Group) -> Scores:
        members = [member for member in group.members if member.tensor in weights]
        local = [added(elements(weights[m.tensor]), m, group.size) for m in members]
        return normalized(np.mean(local, axis=0) if local else np.ones(group.size))

    return channels


def ranked_weights(model: Model) -> Mapping[str, Weight]:
    """Return what counts for channels, by name: kernels, matrices, and scales of norms."""
    wanted = MULTIPLIED | {"scale"}
    found: dict[str, Weight] = {}
    for layer in model.layers:
        for weight in layer.tensors:
            if weight.role in wanted and weight.trainable:
                found.setdefault(weight.name, weight)
    return found


def added(scores: Scores, member: Member, size: int) -> Scores:
    """Return the sum of `scores` over the slice of each channel of a group."""
    others = tuple(axis for axis in range(scores.ndim) if axis != member.axis)
    at = scores.sum(axis=others, dtype=np.float64)
    mine = member.channel >= 0
    sums: Scores = np.bincount(member.channel[mine], at[mine], minlength=size).astype(np.float64)
    return sums


def normalized(scores: Scores) -> Scores:
    """Return scores of a group divided by their mean; all alike if that is zero."""
    finite = scores[np.isfinite(scores)]
    mean = float(np.abs(finite).mean()) if finite.size else 0.0
    return scores / mean if mean else scores


def by_member(
    group: Group, weights: Mapping[str, Weight], score: Callable[[Weight, Member], Scores]
) -> list[Scores]:
    """Return the scores of the channels of a group from each tensor by itself."""
    return [score(weights[m.tensor], m) for m in group.members if m.tensor in weights]
