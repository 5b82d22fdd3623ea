"""Pruning while weights are solved for: what goes of each layer, for the structures there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.graph.pruned import record_pruned
from onnxpress_pruning.budgets import share_within
from onnxpress_pruning.criteria.obs import Obs
from onnxpress_pruning.reconstruction.choices import Given, NOfM, Share
from onnxpress_pruning.reconstruction.rebuild import rebuild
from onnxpress_pruning.reconstruction.solve import DAMP
from onnxpress_pruning.structures.n_m import NM
from onnxpress_pruning.structures.unstructured import Unstructured

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight
    from onnxpress_pruning.criteria.criterion import Scores, Subject
    from onnxpress_pruning.pruning import Pruning
    from onnxpress_pruning.reconstruction.choices import Choice, Goes
    from onnxpress_pruning.reconstruction.product import Product
    from onnxpress_pruning.reconstruction.rebuild import Choose
    from onnxpress_pruning.structures.structure import MaskStructure
    from onnxpress_pruning.targets import Target


def prune_rebuilding(
    step: Pruning, structure: MaskStructure, targets: Sequence[Target], subject: Subject
) -> Model:
    """Prune layer after layer; the weights that stay make up for those that go.

    How much of each tensor goes is as `structure` says from the scores of the criterion; which
    weights these are is chosen while they are solved for where the structure allows it: single
    weights, and N:M along input channels.  Elsewhere it is as `structure` says.

    Args:
        step: Its options.
        structure: What they mean.
        targets: What to prune.
        subject: The model and the job.
    """
    model, job = subject.model, subject.job
    scores = _magnitudes if _count_is_given(step, structure) else step.criterion.elements(subject)
    share = share_within(step, model, structure, list(targets), scores)
    choices: dict[str, Choose] = {}
    for target, choice in zip(targets, structure.choices(targets, scores, share), strict=True):
        name, goes = target.weight.name, choice.goes
        if not goes.any() or not np.any(target.weight.array().reshape(-1)[goes] != 0):
            job.decline(target.layer.name, choice.reason)
        else:
            choices[name] = _choose(structure, target.weight, goes)
    if not choices:
        return model
    edit = rebuild(model, model, choices, job, damp=_damp(step)).edit()
    record_pruned(edit.ir, choices)
    return edit.done()


def _damp(step: Pruning) -> float:
    return step.criterion.damp if isinstance(step.criterion, Obs) else DAMP


def _magnitudes(weight: Weight) -> Scores:
    magnitudes: Scores = np.abs(weight.array().astype(np.float64))
    return magnitudes


def _count_is_given(step: Pruning, structure: MaskStructure) -> bool:
    """Whether the scores decide only which weights go, not how many of which tensor."""
    if isinstance(structure, NM):
        return structure.along == "input"
    limited = step.threshold is not None or step.sensitivity is not None
    return isinstance(structure, Unstructured) and not step.together and not limited


def _choose(structure: MaskStructure, weight: Weight, goes: Goes) -> Choose:
    """Return how to choose what goes of a tensor, of which `structure` would take `goes`."""
    given = goes.reshape(weight.shape)

    def choose(product: Product) -> Choice:
        if isinstance(structure, Unstructured):
            return Share(float(np.count_nonzero(goes)) / goes.size)
        if isinstance(structure, NM) and structure.axis(weight) == weight.input_axis:
            return NOfM(structure.keep, structure.of, product.channels)
        return Given(product.matrix(given))

    return choose
