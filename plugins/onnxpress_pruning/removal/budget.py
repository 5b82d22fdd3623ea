"""From a budget of multiply-accumulates, parameters or bytes to a share of channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from onnxpress.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxpress.channels import Channels, Group
    from onnxpress.channels.labels import Ids
    from onnxpress_pruning.pruning import Pruning

_HALVINGS: Final = 24
_BLAMED: Final = 3


def share_within(
    step: Pruning,
    channels: Channels,
    groups: Sequence[Group],
    counts: Callable[[float], Ids],
) -> float | None:
    """Return the smallest share of channels that keeps the budget of a step; None without one.

    Args:
        step: The step, with a budget as a share of what there is, or as a number.
        channels: The channel groups of the model.
        groups: Those that are cut.
        counts: Says how many channels of each stay at a share.

    Raises:
        OptionError: If no share keeps it; says what can be reached, and what holds it back.
    """
    found = _measure(step, channels)
    if found is None:
        return None
    name, wanted, measure = found
    full = channels.sizing.full
    budget = wanted * measure(full) if wanted < 1 else wanted

    def left(share: float) -> int:
        return measure(_with(channels, groups, counts(share)))

    if left(0) <= budget:
        return 0.0
    if (best := left(1)) > budget:
        raise OptionError(_missed(name, budget, best, channels, groups, counts(1), measure))
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if left(middle) <= budget else (middle, high)
    return high


def _measure(step: Pruning, channels: Channels) -> tuple[str, float, Callable[[Ids], int]] | None:
    sizing = channels.sizing
    for name, wanted, measure in (
        ("macs", step.macs, sizing.macs),
        ("parameters", step.parameters, sizing.parameters),
        ("bytes", step.bytes, sizing.bytes),
    ):
        if wanted is not None:
            return name, wanted, measure
    return None


def _with(channels: Channels, groups: Sequence[Group], counts: Ids) -> Ids:
    """Return the counts of all groups of the model, of which some were chosen."""
    every = channels.sizing.full.copy()
    index = {group.name: i for i, group in enumerate(channels.groups)}
    for group, count in zip(groups, counts, strict=True):
        every[index[group.name]] = count
    return every


def _missed(  # what the sentence is made of
    name: str,
    budget: float,
    best: int,
    channels: Channels,
    groups: Sequence[Group],
    counts: Ids,
    measure: Callable[[Ids], int],
) -> str:
    """Say what can be reached, and which groups would save most if less of them had to stay."""
    least = _with(channels, groups, counts)
    saved = {}
    for i, group in enumerate(channels.groups):
        without = least.copy()
        without[i] = 0
        saved[group.name] = best - measure(without)
    blamed = sorted(saved, key=lambda g: (-saved[g], g))[:_BLAMED]
    words = ", ".join(f"{g} ({int(least[_at(channels, g)])} channels stay)" for g in blamed)
    return (
        f"{name}={budget:,.0f} can't be met: {best:,} are left when all goes that may; most of it "
        f"is held by {words}; raise at-most, lower round-to, or ask for less"
    )


def _at(channels: Channels, name: str) -> int:
    return next(i for i, group in enumerate(channels.groups) if group.name == name)
