"""How many channels of each group stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnxpress.channels import Group
    from onnxpress.channels.labels import Ids
    from onnxpress_pruning.criteria.criterion import Scores


@dataclass(frozen=True)
class Limits:
    """What bounds the channels of a group that stay.

    Attributes:
        round_to: Of what the number of positions on an axis is to be a multiple, where an axis
            has more than that; 1 lets it be any number.
        at_most: The largest share of one group that may go.
    """

    round_to: int = 8
    at_most: float = 1.0

    def unit(self, group: Group) -> int:
        """Return of what the number of channels of a group is to be a multiple."""
        unit = self.round_to // math.gcd(group.multiple, self.round_to)
        return unit if group.size > unit else 1

    def least(self, group: Group) -> int:
        """Return how many channels of a group stay at least."""
        unit = self.unit(group)
        fewest = max(1, group.size - math.floor(self.at_most * group.size + 1e-9))
        return min(group.size, math.ceil(fewest / unit) * unit)

    def rounded(self, group: Group, left: float) -> int:
        """Return the nearest number of channels that may be left; halves go up."""
        unit = self.unit(group)
        near = math.floor(left / unit + 0.5) * unit
        return min(max(near, self.least(group)), group.size)


def each(groups: Sequence[Group], shares: Sequence[float], limits: Limits) -> Ids:
    """Return how many channels stay if the same or a given share of every group goes."""
    pairs = zip(groups, shares, strict=True)
    return np.array([limits.rounded(g, g.size - round(s * g.size)) for g, s in pairs], np.int64)


def together(
    groups: Sequence[Group], scores: Sequence[Scores], share: float, limits: Limits
) -> Ids:
    """Return how many channels stay if the lowest share of all channels goes.

    A channel counts as often as it has positions, so that a head counts as all its dimensions.
    What a group must keep does not count as lowest.
    """
    flat, group_of, weight = [], [], []
    for index, (group, own) in enumerate(zip(groups, scores, strict=True)):
        ranked = np.sort(own)
        ranked[group.size - limits.least(group) :] = np.inf
        flat.append(ranked)
        group_of.append(np.full(group.size, index))
        weight.append(np.full(group.size, group.multiple))
    values, owner, counts = map(np.concatenate, (flat, group_of, weight))
    order = np.argsort(values, kind="stable")
    taken = np.cumsum(counts[order]) <= share * counts.sum() + 1e-9
    taken &= values[order] < np.inf
    gone = np.bincount(owner[order[taken]], minlength=len(groups))
    return np.array(
        [limits.rounded(g, g.size - n) for g, n in zip(groups, gone, strict=True)], np.int64
    )


def lowest(scores: Scores, count: int) -> Ids:
    """Return the `count` channels that score lowest; of equal ones, the first."""
    return np.sort(np.argsort(scores, kind="stable")[:count])
