"""The engine of mask structures: chooses what goes, and sets it to zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxpress.graph.pruned import record_pruned
from onnxpress_pruning.arrays import read_arrays
from onnxpress_pruning.budgets import share_within
from onnxpress_pruning.criteria.criterion import Subject
from onnxpress_pruning.masks import apply_masks
from onnxpress_pruning.recalibration import recalibrate
from onnxpress_pruning.reconstruction.few import with_few
from onnxpress_pruning.structures.block import Block
from onnxpress_pruning.structures.n_m import NM
from onnxpress_pruning.structures.parts import Distribution
from onnxpress_pruning.structures.per_output import PerOutput
from onnxpress_pruning.structures.unstructured import Unstructured
from onnxpress_pruning.targets import decline_overridable, find_targets
from onnxpress_pruning.zeros import set_to_zero

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.graph.edit import Editor
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress_pruning.pruning import Pruning
    from onnxpress_pruning.structures.structure import Choice, MaskStructure
    from onnxpress_pruning.targets import Target


def prune_by_masks(step: Pruning, model: Model, job: Job) -> Model:
    """Set weights to zero as a step says, once."""
    if step.masks is None and step.criterion.rebuilds:
        rebuilt = _choose_rebuilding(step, model, job)
        return recalibrate(model, rebuilt, job, step.recalibrate or "none")
    edit = model.edit()
    if step.masks is not None:
        pruned = apply_masks(edit, read_arrays(step.masks, "masks"), job)
    else:
        pruned = _choose(step, model, edit, job)
    if not pruned:
        return model
    record_pruned(edit.ir, pruned)
    result = (
        _reconstructed(edit.done(), model, pruned, with_few(job, step.samples))
        if step.reconstruct
        else edit.done()
    )
    return recalibrate(model, result, job, step.recalibrate or "none")


def _choose_rebuilding(step: Pruning, model: Model, job: Job) -> Model:
    from onnxpress_pruning.reconstruction.pruning import prune_rebuilding

    job = with_few(job, step.samples)
    structure, targets = find_what(step, model, model.ir.graph, job)
    if not targets:
        return model
    return prune_rebuilding(step, structure, targets, subject_of(step, model, targets, job))


def _reconstructed(pruned: Model, original: Model, names: list[str], job: Job) -> Model:
    from onnxpress_pruning.reconstruction.rebuild import reconstruct

    return reconstruct(pruned, original, names, job)


def make_structure(step: Pruning) -> MaskStructure:
    """Return the structure that the options of a step mean."""
    if step.structure == "n:m":
        return NM(*step.pattern, along=step.axis)
    if step.criterion.within == "output":
        return PerOutput(step.of)
    distribution = Distribution(
        "global" if step.together else "layer",
        step.of,
        1.0 if step.at_most is None else step.at_most,
        step.threshold,
        step.sensitivity,
    )
    if step.structure == "block":
        return Block(distribution, step.block, step.pooling)
    return Unstructured(distribution)


def subject_of(step: Pruning, model: Model, targets: list[Target], job: Job) -> Subject:
    """Return what the criterion of a step may look at."""
    weights = tuple(target.weight for target in targets)
    return Subject(model, weights, job, step.objective_written)


def _choose(step: Pruning, model: Model, edit: Editor, job: Job) -> list[str]:
    """Set what scores lowest to zero; return the names of the tensors with zeros."""
    structure, targets = find_what(step, model, edit.graph, job)
    if not targets:
        return []
    scores = step.criterion.elements(subject_of(step, model, targets, job))
    share = share_within(step, model, structure, targets, scores)
    pruned: list[str] = []
    chosen = structure.choices(targets, scores, share)
    for target in job.track(targets, "pruning", len(targets)):
        choice = next(chosen)
        _apply(edit, target, choice, job)
        if choice.goes.any():
            pruned.append(target.weight.name)
    return pruned


def find_what(
    step: Pruning, model: Model, graph: ir.Graph, job: Job
) -> tuple[MaskStructure, list[Target]]:
    """Return the structure that a step means, and what to prune; decline the rest."""
    structure = make_structure(step)
    decline_overridable(graph, job)
    targets = find_targets(model.layers, step, structure, job)
    return structure, _scorable(targets, step, model, job)


def _scorable(targets: list[Target], step: Pruning, model: Model, job: Job) -> list[Target]:
    """Return the targets that the criterion of a step can score; decline the others."""
    found: list[Target] = []
    for target in targets:
        if reason := step.criterion.refusal(model, target.layer, target.weight):
            job.decline(target.layer.name, f"criterion={step.criterion.name}: {reason}")
        else:
            found.append(target)
    return found


def _apply(edit: Editor, target: Target, choice: Choice, job: Job) -> None:
    """Set to zero what is not, or say why nothing is."""
    weights = target.weight.array().reshape(-1)
    if np.any(weights[choice.goes] != 0):
        more = {"bound": choice.bound} if choice.bound else {}
        set_to_zero(edit, target.layer, target.weight, choice.goes, job, **more)
    else:
        job.decline(target.layer.name, choice.reason)
