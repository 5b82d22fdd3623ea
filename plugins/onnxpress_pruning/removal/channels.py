"""The engine of the structures ``channel`` and ``head``: what scores lowest is cut out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxpress_pruning.criteria.criterion import Subject
from onnxpress_pruning.masking import frozen
from onnxpress_pruning.recalibration import recalibrate
from onnxpress_pruning.removal.budget import share_within
from onnxpress_pruning.removal.choosing import chosen_groups, shares_of
from onnxpress_pruning.removal.counts import Limits, each, lowest, together

if TYPE_CHECKING:
    from onnxpress.channels import Channels, Group
    from onnxpress.channels.labels import Ids
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress_pruning.criteria.criterion import Scores
    from onnxpress_pruning.pruning import Pruning


def prune_channels(step: Pruning, model: Model, job: Job) -> Model:
    """Cut channels or heads out of a model as a step says, once.

    Raises:
        UnknownNameError: If a pattern matches no layer.
        OptionError: If a budget can't be met.
    """
    from onnxpress.calibration.kept import kept_positions
    from onnxpress.channels import find_channels

    if step.freeze:
        model = frozen(model)
    channels = find_channels(
        model, split="heads" if step.structure == "head" else "channels", rules=job.rules
    )
    groups = chosen_groups(channels, channels.model.layers, step, job)
    if not groups:
        what = "attention heads" if step.structure == "head" else "channels"
        job.decline("model", f"no chosen layer has {what} that can be cut")
        return model
    removed = _removed(step, channels, groups, job)
    if not any(gone.size for gone in removed.values()):
        return model
    cut = channels.cut(removed)
    kept = kept_positions(channels.groups, removed)
    return recalibrate(channels.model, cut, job, step.recalibrate, kept=kept)


def _removed(
    step: Pruning, channels: Channels, groups: Sequence[Group], job: Job
) -> dict[str, Ids]:
    """Return which channels of each group go, and report them."""
    weights = {w.name: w for layer in channels.model.layers for w in layer.tensors}
    members = {m.tensor: None for group in groups for m in group.members if m.tensor in weights}
    subject = Subject(
        channels.model, tuple(weights[name] for name in members), job, step.objective_written
    )
    score = step.criterion.channels(subject, groups)
    scores = [np.asarray(score(group), np.float64) for group in groups]
    counts = _counts(step, channels, groups, scores)
    removed = {}
    for group, own, count in zip(groups, scores, counts, strict=True):
        usable = int(np.count_nonzero(own < np.inf))
        removed[group.name] = lowest(own, min(group.size - int(count), usable))
        _report(group, int(removed[group.name].size), step, job)
    return removed


def _counts(
    step: Pruning, channels: Channels, groups: Sequence[Group], scores: Sequence[Scores]
) -> Ids:
    """Return how many channels of each group stay."""
    limits = Limits(step.round_to, 1.0 if step.at_most is None else step.at_most)
    shares = shares_of(groups, channels.model.layers, step)

    def at(share: float | None) -> Ids:
        if step.together:
            return together(groups, scores, step.share if share is None else share, limits)
        given = [shares[group.name] if share is None else share for group in groups]
        return each(groups, given, limits)

    return at(share_within(step, channels, groups, at))


def _report(group: Group, gone: int, step: Pruning, job: Job) -> None:
    left = group.size - gone
    if gone:
        with_ = [name for name in group.layers if name != group.name]
        job.change(group.name, channels=left, of=group.size, together_with=", ".join(with_))
        return
    limits = Limits(step.round_to, 1.0 if step.at_most is None else step.at_most)
    unit = limits.unit(group)
    rounding = f", rounded to a multiple of {unit} (round-to={step.round_to})" if unit > 1 else ""
    job.decline(group.name, f"all {group.size} channels stay{rounding}")
