"""The engine of the structures ``channel`` and ``head``: what scores lowest is cut out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.graph.weights import MULTIPLIED
from onnxpress_pruning.criteria.criterion import Subject
from onnxpress_pruning.recalibration import recalibrate
from onnxpress_pruning.reconstruction.few import with_few
from onnxpress_pruning.removal.budget import Budget, counts_within
from onnxpress_pruning.removal.choosing import chosen_groups, shares_of
from onnxpress_pruning.removal.counts import Limits, each, lowest, together
from onnxpress_pruning.removal.told import tell
from onnxpress_pruning.targets import decline_overridable

if TYPE_CHECKING:
    from onnxpress.calibration.kept import Axes
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

    decline_overridable(model.ir.graph, job)
    channels = find_channels(
        model, split="heads" if step.structure == "head" else "channels", rules=job.rules
    )
    groups = chosen_groups(channels, channels.model.layers, step, job)
    if not groups:
        return model
    removed = _removed(step, channels, groups, job)
    if not any(gone.size for gone in removed.values()):
        return model
    cut = channels.cut(removed)
    kept = kept_positions(channels.groups, removed)
    if step.reconstruct:
        cut = _reconstructed(cut, channels, with_few(job, step.samples), kept)
    return recalibrate(channels.model, cut, job, step.recalibrate or "auto", kept=kept)


def _reconstructed(cut: Model, channels: Channels, job: Job, kept: Axes) -> Model:
    """Change the weights that stay so that layers give what they gave (OBSPA-like)."""
    from onnxpress_pruning.reconstruction.rebuild import reconstruct

    less = {name for name, _ in kept}
    weights = (w for layer in cut.layers for w in layer.weights if w.role in MULTIPLIED)
    names = dict.fromkeys(w.name for w in weights if w.name in less)
    return reconstruct(cut, channels.model, list(names), job, kept)


def _removed(
    step: Pruning, channels: Channels, groups: Sequence[Group], job: Job
) -> dict[str, Ids]:
    """Return which channels of each group go, and report them."""
    scores = _scores(step, channels, groups, job)
    limits = Limits(step.round_to, 1.0 if step.at_most is None else step.at_most)
    counts = _counts(step, channels, groups, scores, limits)
    tell(step, channels, groups, scores, counts, limits, job)
    return {
        group.name: lowest(own, group.size - int(count))
        for group, own, count in zip(groups, scores, counts, strict=True)
    }


def _scores(step: Pruning, channels: Channels, groups: Sequence[Group], job: Job) -> list[Scores]:
    """Return the score of every channel of each group."""
    weights = {w.name: w for layer in channels.model.layers for w in layer.tensors}
    members = {m.tensor: None for group in groups for m in group.members if m.tensor in weights}
    subject = Subject(
        channels.model, tuple(weights[name] for name in members), job, step.objective_written
    )
    score = step.criterion.channels(subject, groups)
    return [np.asarray(score(group), np.float64) for group in groups]


def _counts(
    step: Pruning,
    channels: Channels,
    groups: Sequence[Group],
    scores: Sequence[Scores],
    limits: Limits,
) -> Ids:
    """Return how many channels of each group stay."""
    pairs = zip(groups, scores, strict=True)
    least = np.array([limits.least(group, own) for group, own in pairs], np.int64)

    def at(share: float) -> Ids:
        if step.together:
            return together(groups, scores, share, limits, least)
        return each(groups, [share] * len(groups), limits, least)

    if budget := Budget.of(step, channels, groups):
        return counts_within(budget, at, scores, limits)
    if step.together:
        return at(step.share)
    shares = shares_of(groups, channels.model.layers, step)
    return each(groups, [shares[group.name] for group in groups], limits, least)
