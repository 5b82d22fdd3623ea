"""The engine of the structure ``depth``: whole residual blocks and layers are left out."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.channels.blocks import find_blocks, without_blocks
from onnxpress.errors import OptionError
from onnxpress.select import select
from onnxpress_pruning.criteria.criterion import Subject
from onnxpress_pruning.criteria.slices import ranked_weights
from onnxpress_pruning.recalibration import recalibrate
from onnxpress_pruning.removal.budget import in_words
from onnxpress_pruning.schedules.schedule import budget_of
from onnxpress_pruning.targets import decline_overridable

if TYPE_CHECKING:
    from onnxpress.channels.blocks import Block
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress_pruning.pruning import Pruning


def prune_depth(step: Pruning, model: Model, job: Job) -> Model:
    """Leave out the blocks of a model whose weights score lowest on average.

    The share is that of the blocks; a single layer that keeps the shape counts as one.

    Raises:
        UnknownNameError: If a pattern matches no layer.
        OptionError: If a budget can't be met.
    """
    decline_overridable(model.ir.graph, job)
    blocks = _chosen(find_blocks(model), model, step, job)
    if not blocks:
        job.decline("model", "no chosen layer is a residual block, or gives the shape it reads")
        return model
    scores = _scores(step, blocks, model, job)
    order = [blocks[i] for i in np.argsort(scores, kind="stable")]
    gone = _within_budget(step, order, model)
    if gone is None:
        gone = order[: min(round(step.share * len(order)), _most(step, len(order)))]
    if not gone:
        job.decline("model", _why_none(step, len(order)))
        return model
    for block in (block for block in blocks if block in gone):
        job.change(block.name, left_out=", ".join(block.layers))
    job.summary = f"{len(gone)} of {len(blocks)} blocks left out"
    shorter = without_blocks(model, [block.name for block in gone])
    return recalibrate(model, shorter, job, step.recalibrate or "auto")


def _why_none(step: Pruning, count: int) -> str:
    if _most(step, count) == 0:
        return f"at-most={step.at_most:g} of {count} blocks lets none go"
    if name := budget_of(step):
        return f"{name}={getattr(step, name):g} is met by all {count} blocks"
    return f"a share of {step.share:g} of {count} blocks rounds to none"


def _chosen(blocks: Sequence[Block], model: Model, step: Pruning, job: Job) -> list[Block]:
    """Return the blocks of which all layers are chosen; say why not the others."""
    names = {layer.name for layer in select(model.layers, step.layers, step.exclude)}
    found = []
    for block in blocks:
        others = [name for name in block.layers if name not in names]
        if not others:
            found.append(block)
        elif len(others) < len(block.layers):
            job.decline(block.name, f"{others[0]}, which is in the same block, is not chosen")
    return found


def _scores(step: Pruning, blocks: Sequence[Block], model: Model, job: Job) -> list[float]:
    """Return the mean score of the weights of each block."""
    weights = ranked_weights(model)
    of_layer = {
        layer.name: [weights[w.name] for w in layer.tensors if w.name in weights]
        for layer in model.layers
    }
    own = [[w for name in block.layers for w in of_layer[name]] for block in blocks]
    every = {w.name: w for each in own for w in each}
    subject = Subject(model, tuple(every.values()), job, step.objective_written)
    elements = step.criterion.elements(subject)
    sums = {name: float(np.sum(elements(w), dtype=np.float64)) for name, w in every.items()}
    return [sum(sums[w.name] for w in each) / max(1, sum(w.size for w in each)) for each in own]


def _most(step: Pruning, count: int) -> int:
    return count if step.at_most is None else math.floor(step.at_most * count + 1e-9)


def _within_budget(step: Pruning, order: Sequence[Block], model: Model) -> list[Block] | None:
    """Return the fewest blocks, lowest score first, without which a budget is kept."""
    if (name := budget_of(step)) is None:
        return None
    asked: float = getattr(step, name)
    budget = asked * _cost(model, name) if asked < 1 else asked

    def left(count: int) -> int:
        return _cost(without_blocks(model, [block.name for block in order[:count]]), name)

    # What is left falls with every block, so a few of the counts are enough to look at.
    counts = range(_most(step, len(order)) + 1)
    count = bisect_left(counts, True, key=lambda n: left(n) <= budget)  # noqa: FBT003
    if count < len(counts):
        return list(order[:count])
    raise OptionError(
        f"{in_words(name, asked, budget)} can't be met by leaving out blocks: "
        f"{left(counts[-1]):,} are left without all {counts[-1]} that may go; use "
        "structure=channel as well, or allow more"
    )


def _cost(model: Model, name: str) -> int:
    cost = model.cost()
    return {"macs": cost.macs, "parameters": cost.parameters, "bytes": cost.bytes_stored}[name]
