"""Which channel groups a step works on, and why not on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from onnxpress.select import select

if TYPE_CHECKING:
    from onnxpress.channels import Channels, Group
    from onnxpress.graph.layers import Layer
    from onnxpress.job import Job
    from onnxpress_pruning.pruning import Pruning


def chosen_groups(
    channels: Channels, layers: Sequence[Layer], step: Pruning, job: Job
) -> list[Group]:
    """Return the groups to prune: those whose channels are the outputs of chosen layers.

    A layer that only reads such channels gets fewer inputs, whether it is chosen or not.

    Raises:
        UnknownNameError: If a pattern matches no layer.
    """
    named = {layer.name for layer in select(layers, step.layers, ())} if step.layers else None
    spared = {layer.name for layer in select(layers, step.exclude, ())} if step.exclude else set()
    makers = {layer.name for layer in layers if not layer.normalizes}
    found = []
    for group in channels.groups:
        own = [name for name in group.producers if name in makers] or list(group.layers)
        if step.structure == "head" and not group.heads:
            continue
        if reason := _refusal(own, named, spared):
            if set(own) & (named or spared):
                job.decline(group.name, reason)
        else:
            found.append(group)
    for name in named or ():
        _say_kept(channels, name, job)
    for note in channels.notes:
        job.decline("model", note)
    return found


def _refusal(own: Sequence[str], named: set[str] | None, spared: set[str]) -> str | None:
    excluded = [name for name in own if name in spared]
    if excluded:
        together = f"; it is cut together with {', '.join(own)}" if len(own) > 1 else ""
        return f"{excluded[0]} is excluded{together}"
    others = [name for name in own if named is not None and name not in named]
    if others:
        return f"its channels are those of {', '.join(others)} too; name all of them, or none"
    return None


def _say_kept(channels: Channels, name: str, job: Job) -> None:
    for kept in channels.kept:
        if kept.name == name:
            job.decline(name, f"{kept.size} of its channels can't be cut: {kept.reason}")


def shares_of(
    groups: Sequence[Group], layers: Sequence[Layer], step: Pruning
) -> Mapping[str, float]:
    """Return the share of each group that is to go, by name.

    A group has the share of the first of its layers that has one of its own.

    Raises:
        UnknownNameError: If a pattern matches no layer.
    """
    own: dict[str, float] = {}
    for pattern, share in step.sparsities.items():
        for layer in select(layers, [pattern], ()):
            own.setdefault(layer.name, share)
    found = {}
    for group in groups:
        given = [own[name] for name in group.producers or group.layers if name in own]
        found[group.name] = given[0] if given else step.share
    return found
