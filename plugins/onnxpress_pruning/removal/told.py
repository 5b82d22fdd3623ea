"""What the report says about channels that were cut out, and about those that stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress_pruning.schedules.schedule import budget_of

if TYPE_CHECKING:
    from onnxpress.channels import Channels, Group
    from onnxpress.channels.labels import Ids
    from onnxpress.job import Job
    from onnxpress_pruning.criteria.criterion import Scores
    from onnxpress_pruning.pruning import Pruning
    from onnxpress_pruning.removal.counts import Limits

_NAMED: Final = 3


def some(names: Sequence[str]) -> str:
    """Return the first of many names, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def makers(group: Group, norms: Collection[str]) -> list[str]:
    """Return the layers whose outputs are the channels of a group, without normalisations."""
    return [name for name in group.producers if name not in norms]


def tell(
    step: Pruning,
    channels: Channels,
    groups: Sequence[Group],
    scores: Sequence[Scores],
    counts: Ids,
    limits: Limits,
    job: Job,
) -> None:
    """Report how many channels of each group go, what bounds that, and the sum."""
    norms = {layer.name for layer in channels.model.layers if layer.normalizes}
    bounds: Counter[str] = Counter()
    for group, own, count in zip(groups, scores, counts.tolist(), strict=True):
        least = limits.least(group, own)
        if count == group.size:
            if np.any(own < np.inf):  # else the criterion said why it can't rank them
                job.decline(group.name, _why_whole(step, group, own, limits))
            continue
        others = [name for name in makers(group, norms) if name != group.name]
        readers = [n for n in group.layers if n not in norms and n not in group.producers]
        more = {"together_with": ", ".join(others)} if others else {}
        more |= {"read_by": ", ".join(readers)} if readers else {}
        if count == least:
            more["bound"] = limits.bound(group, own)
            bounds[more["bound"]] += 1
        job.change(group.name, channels=count, of=group.size, **more)
    job.summary = _summary(step, groups, counts, bounds)


def _why_whole(step: Pruning, group: Group, scores: Scores, limits: Limits) -> str:
    whole = f"all {group.size} channels stay"
    if limits.least(group, scores) == group.size:
        return f"{whole}: {limits.bound(group, scores)}"
    if (unit := limits.unit(group)) > 1:
        return f"{whole}, rounded to a multiple of {unit} (round-to={step.round_to})"
    if step.together or budget_of(step):
        return f"{whole}: others score lower"
    return f"{whole}: the share that is to go rounds to none of them"


def _summary(step: Pruning, groups: Sequence[Group], counts: Ids, bounds: Counter[str]) -> str:
    what = "heads" if step.structure == "head" else "channels"
    full = sum(group.size for group in groups)
    cut = sum(int(count) < group.size for group, count in zip(groups, counts, strict=True))
    gone = full - int(counts.sum())
    words = [f"{gone:,} of {full:,} {what} cut out, in {cut} of {len(groups)} groups"]
    words += [f"{n} of them can lose no more: {bound}" for bound, n in sorted(bounds.items())]
    return "; ".join(words)
