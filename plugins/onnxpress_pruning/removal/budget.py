"""From a budget of multiply-accumulates, parameters or bytes to numbers of channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress.errors import OptionError
from onnxpress_pruning.schedules.schedule import budget_of

if TYPE_CHECKING:
    from typing import Self

    from onnxpress.channels import Channels, Group
    from onnxpress.channels.labels import Ids
    from onnxpress_pruning.criteria.criterion import Scores
    from onnxpress_pruning.pruning import Pruning
    from onnxpress_pruning.removal.counts import Limits

_HALVINGS: Final = 24
_BLAMED: Final = 3


@dataclass(frozen=True)
class Budget:
    """What may be left of a model.

    Attributes:
        step: The step that says so.
        name: ``macs``, ``parameters`` or ``bytes``.
        most: How much.
        channels: The channel groups of the model.
        groups: Those that are cut.
        measure: Counts what is left, from the number of channels of all groups of the model.
    """

    step: Pruning
    name: str
    most: float
    channels: Channels
    groups: Sequence[Group]
    measure: Callable[[Ids], int]

    @classmethod
    def of(cls, step: Pruning, channels: Channels, groups: Sequence[Group]) -> Self | None:
        """Return the budget of a step, None if it has none."""
        if (name := budget_of(step)) is None:
            return None
        measure: Callable[[Ids], int] = getattr(channels.sizing, name)
        wanted: float = getattr(step, name)
        most = wanted * measure(channels.sizing.full) if wanted < 1 else wanted
        return cls(step, name, most, channels, groups, measure)

    def left(self, counts: Ids) -> int:
        """Return what is left if the groups that are cut keep so many channels."""
        return self.measure(self.every(counts))

    def every(self, counts: Ids) -> Ids:
        """Return the counts of all groups of the model, from those that are cut."""
        every = self.channels.sizing.full.copy()
        index = {group.name: i for i, group in enumerate(self.channels.groups)}
        for group, count in zip(self.groups, counts, strict=True):
            every[index[group.name]] = count
        return every


def counts_within(
    budget: Budget, at: Callable[[float], Ids], scores: Sequence[Scores], limits: Limits
) -> Ids:
    """Return how many channels stay, so that a budget is kept and little of it is left unused.

    These are the counts at the smallest share that keeps the budget.  As counts are rounded,
    many may fall at once there; so groups get channels back as long as there is room for them,
    first where the next channels score highest.

    Args:
        budget: What may be left.
        at: Says how many channels of each group stay at a share.
        scores: The scores of the channels of each group.
        limits: How counts are rounded.

    Raises:
        OptionError: If no share keeps it; says what can be reached, and what holds it back.
    """
    low, high = 0.0, 1.0
    if budget.left(at(low)) <= budget.most:
        return at(low)
    if (best := budget.left(at(high))) > budget.most:
        raise OptionError(_missed(budget, best, at(high), limits))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if budget.left(at(middle)) <= budget.most else (middle, high)
    return _given_back(budget, at(high), scores, limits)


def _given_back(budget: Budget, counts: Ids, scores: Sequence[Scores], limits: Limits) -> Ids:
    """Return more channels to groups, unit by unit, as long as the budget is kept."""
    pairs = list(zip(budget.groups, [np.sort(own) for own in scores], strict=True))
    open_ = {i for i, (group, _) in enumerate(pairs) if counts[i] < group.size}
    while open_:
        index = max(open_, key=lambda i: (_next(pairs[i][1], int(counts[i])), -i))
        group = budget.groups[index]
        more = counts.copy()
        unit = limits.unit(group)
        more[index] = min((counts[index] // unit + 1) * unit, group.size)
        if budget.left(more) > budget.most:
            open_.remove(index)
            continue
        counts = more
        if counts[index] == group.size:
            open_.remove(index)
    return counts


def _next(ranked: Scores, count: int) -> float:
    """Return the score of the best channel that goes."""
    return float(ranked[len(ranked) - count - 1])


def _missed(budget: Budget, best: int, counts: Ids, limits: Limits) -> str:
    """Say what can be reached, and which groups hold most of what is left."""
    asked = in_words(budget.name, getattr(budget.step, budget.name), budget.most)
    return (
        f"{asked} can't be met: {best:,} are left when all goes that may; most of "
        f"it is held by {', '.join(_blamed(budget, best, counts))}; {_advice(budget, limits)}"
    )


def in_words(name: str, asked: float, most: float) -> str:
    """Return a budget as it was asked for, and how much that is: ``macs=0.5 (20,275,520)``."""
    return f"{name}={asked:g} ({most:,.0f})" if asked < 1 else f"{name}={asked:,}"


def _blamed(budget: Budget, best: int, counts: Ids) -> list[str]:
    """Return the groups that would save most if none of their channels had to stay."""
    least = budget.every(counts)
    saved = []
    for index, group in enumerate(budget.channels.groups):
        without = least.copy()
        without[index] = 0
        saved.append((budget.measure(without) - best, index, group))
    worst = sorted(saved, key=lambda entry: entry[:2])[:_BLAMED]
    return [f"{group.name} ({least[i]} of {group.size} channels stay)" for _, i, group in worst]


def _advice(budget: Budget, limits: Limits) -> str:
    """Say which options hold channels back."""
    step = budget.step
    ways = (
        (step.at_most is not None, "raise at-most"),
        (any(limits.unit(group) > 1 for group in budget.groups), "lower round-to"),
        (bool(step.layers or step.exclude), "choose more layers"),
        (True, "allow more"),
    )
    *some, last = [way for given, way in ways if given]
    return f"{', '.join(some)} or {last}" if some else last
