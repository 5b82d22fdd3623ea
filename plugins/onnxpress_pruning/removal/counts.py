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

    def least(self, group: Group, scores: Scores) -> int:
        """Return how many channels of a group stay at least; those of infinite score all do."""
        unit = self.unit(group)
        unranked = group.size - int(np.count_nonzero(scores < np.inf))
        fewest = max(1, self._held(group), unranked)
        return min(group.size, math.ceil(fewest / unit) * unit)

    def rounded(self, group: Group, left: float, least: int = 1) -> int:
        """Return the nearest number of channels that may be left; halves go up.

        All channels may be left too, be they a multiple or not.
        """
        unit = self.unit(group)
        low = math.floor(left / unit) * unit
        high = min(low + unit, group.size)
        near = high if high - left <= left - low else low
        return min(max(near, least), group.size)

    def bound(self, group: Group, scores: Scores) -> str:
        """Say what it is that keeps as many channels of a group as `least` says."""
        if np.count_nonzero(scores < np.inf) <= group.size - self.least(group, scores):
            return "the criterion ranks no others"
        if self._held(group) > 1:
            return f"at-most={self.at_most:g}"
        return f"round-to={self.round_to}" if self.unit(group) > 1 else "one must stay"

    def _held(self, group: Group) -> int:
        return group.size - math.floor(self.at_most * group.size + 1e-9)


def each(groups: Sequence[Group], shares: Sequence[float], limits: Limits, least: Ids) -> Ids:
    """Return how many channels stay if a given share of every group goes, but for `least`."""
    found = [
        limits.rounded(group, group.size - round(share * group.size), fewest)
        for group, share, fewest in zip(groups, shares, least, strict=True)
    ]
    return np.array(found, np.int64)


def together(
    groups: Sequence[Group], scores: Sequence[Scores], share: float, limits: Limits, least: Ids
) -> Ids:
    """Return how many channels stay if the lowest share of all channels goes.

    A channel counts as often as it has positions, so that a head counts as all its dimensions.
    What a group must keep does not count as lowest.
    """
    flat, group_of, weight = [], [], []
    for index, (group, own) in enumerate(zip(groups, scores, strict=True)):
        ranked = np.sort(own)
        ranked[group.size - least[index] :] = np.inf
        flat.append(ranked)
        group_of.append(np.full(group.size, index))
        weight.append(np.full(group.size, group.multiple))
    values, owner, counts = map(np.concatenate, (flat, group_of, weight))
    order = np.argsort(values, kind="stable")
    taken = np.cumsum(counts[order]) <= share * counts.sum() + 1e-9
    taken &= values[order] < np.inf
    gone = np.bincount(owner[order[taken]], minlength=len(groups))
    found = [
        limits.rounded(group, group.size - n, fewest)
        for group, n, fewest in zip(groups, gone, least, strict=True)
    ]
    return np.array(found, np.int64)


def lowest(scores: Scores, count: int) -> Ids:
    """Return the `count` channels that score lowest; of equal ones, the first."""
    return np.sort(np.argsort(scores, kind="stable")[:count])
