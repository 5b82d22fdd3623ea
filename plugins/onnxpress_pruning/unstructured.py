"""Setting single weights to zero, by any criterion: each tensor for itself, or all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from onnxpress_pruning.ranking import find_cut, rank
from onnxpress_pruning.zeros import set_to_zero

if TYPE_CHECKING:
    from onnxpress.graph.edit import Editor
    from onnxpress.job import Job
    from onnxpress_pruning.criteria import Criterion, Scores
    from onnxpress_pruning.ranking import Cut, Parts, Precision
    from onnxpress_pruning.targets import Target


def prune_each(
    edit: Editor, targets: Sequence[Target], criterion: Criterion, job: Job
) -> list[str]:
    """Prune every target to its own sparsity; return the names of the tensors with zeros."""
    pruned: list[str] = []
    for target in job.track(targets, "pruning", len(targets)):
        pruned += _prune(edit, [target], target.count, criterion, job)
    return pruned


def prune_together(
    edit: Editor, targets: Sequence[Target], criterion: Criterion, job: Job
) -> list[str]:
    """Prune the lowest scores of all targets; return the names of the tensors with zeros.

    All have the same sparsity.  Of equal scores, those of earlier layers go first.  Scores
    are computed again whenever they are needed, so that those of one tensor at a time
    are in memory.
    """
    size = sum(target.weight.size for target in targets)
    count = round(targets[0].sparsity * size) if targets else 0
    return _prune(edit, targets, count, criterion, job)


def _prune(
    edit: Editor, targets: Sequence[Target], count: int, criterion: Criterion, job: Job
) -> list[str]:
    """Set the `count` weights that score lowest among all of `targets` to zero."""
    double = any(target.weight.dtype == ir.DataType.DOUBLE for target in targets)
    precision: Precision = np.dtype(np.float64) if double else np.dtype(np.float32)

    def ranks() -> Iterator[Scores]:
        return (rank(target.weight.array(), criterion, precision) for target in targets)

    parts = ranks if len(targets) > 1 else _held(ranks)
    cut = find_cut(parts, count, precision)
    pruned: list[str] = []
    for target, scores in zip(targets, parts(), strict=True):
        goes, cut = cut.split(scores)
        nonzero = scores > -np.inf
        if (goes & nonzero).any():
            set_to_zero(edit, target.layer, target.weight, goes, job)
        else:
            job.decline(target.layer.name, _why_nothing(target, count, cut))
        if goes.any():
            pruned.append(target.weight.name)
    return pruned


def _held(parts: Parts) -> Parts:
    held = list(parts())
    return lambda: held


def _why_nothing(target: Target, count: int, cut: Cut) -> str:
    name, size = target.weight.name, target.weight.size
    if count == 0:
        return f"sparsity {target.sparsity:g} of so few weights rounds to none"
    if cut.score == -np.inf:
        return f"{name}: there are the {count:,} zeros that are wanted already, or more"
    if cut.score == np.inf:
        return f"{name}: a tensor keeps at least one weight"
    return f"{name}: none of its {size:,} weights is among the smallest {count:,} of all"
