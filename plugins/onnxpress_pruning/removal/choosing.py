"""Which channel groups a step works on, and why not on others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from onnxpress.select import select
from onnxpress_pruning.removal.told import makers, some

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
    norms = {layer.name for layer in layers if layer.normalizes}
    found = []
    for group in channels.groups:
        own = makers(group, norms) or list(group.layers)
        if step.structure == "head" and not group.heads:
            continue
        if reason := _refusal(own, named, spared):
            if set(own) & ((named or set()) | spared):
                job.decline(group.name, reason)
        else:
            found.append(group)
    wanted = _asked_for(layers, step, named, nothing=not found)
    _say_what_stays(channels, layers, wanted, job)
    if not found:
        what = "attention heads" if step.structure == "head" else "channels"
        job.decline("model", f"no chosen layer has {what} that can be cut")
    return found


def _refusal(own: Sequence[str], named: set[str] | None, spared: set[str]) -> str | None:
    excluded = [name for name in own if name in spared]
    if excluded:
        others = [name for name in own if name != excluded[0]]
        together = f"; its channels are those of {some(others)} too" if others else ""
        return f"{excluded[0]} is excluded{together}"
    others = [name for name in own if named is not None and name not in named]
    if others:
        return f"its channels are those of {some(others)} too; name all of them, or none"
    return None


def _asked_for(
    layers: Sequence[Layer], step: Pruning, named: Collection[str] | None, *, nothing: bool
) -> set[str]:
    """Return the layers of which a user wants to know why they stay; all if nothing is cut."""
    if named is None and nothing:
        return {layer.name for layer in layers}
    own = select(layers, list(step.sparsities), ()) if step.sparsities else ()
    return {*(named or ()), *(layer.name for layer in own)}


def _say_what_stays(
    channels: Channels, layers: Sequence[Layer], wanted: Collection[str], job: Job
) -> None:
    """Say why layers can't be cut, and which operators no rule knows."""
    for kept in channels.kept:
        if kept.name in wanted:
            job.decline(kept.name, f"{kept.size} of its channels can't be cut: {kept.reason}")
    graph = channels.model.ir.graph
    for layer in layers:
        if layer.name in wanted and layer.node.graph is not graph:
            job.decline(layer.name, "it is part of a branch, a loop or a function")
    for note in channels.notes:
        job.decline("model", note)


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
