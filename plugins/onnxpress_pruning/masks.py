"""Masks that a user brings along: 1 keeps a weight, 0 prunes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.errors import OptionError, UnknownNameError
from onnxpress_pruning.targets import refusal
from onnxpress_pruning.zeros import set_to_zero

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.edit import Editor
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.weights import Weight
    from onnxpress.job import Job
    from onnxpress_pruning.ranking import Mask


def apply_masks(edit: Editor, masks: Mapping[str, Array], job: Job) -> list[str]:
    """Set the weights where a mask is 0 to zero; return the names of the tensors.

    Args:
        edit: What to change.
        masks: 1 or true keeps a weight; by the name of a stored tensor, or of a layer
            for its main weight.
        job: Told of every tensor.

    Raises:
        UnknownNameError: If there is no tensor and no layer of that name.
        OptionError: If a mask has not the shape of its tensor, or other values than 0 and 1.
    """
    known = _tensors(edit.layers)
    names: list[str] = []
    for name, mask in masks.items():
        if name not in known:
            raise UnknownNameError("layer or weight to mask", name, known)
        layer, weight = known[name]
        goes = _pruned(name, mask, weight)
        if reason := refusal(weight):
            job.decline(layer.name, reason)
        elif not goes.any():
            job.decline(layer.name, f"the mask {name!r} keeps every weight")
        else:
            set_to_zero(edit, layer, weight, goes, job)
            names.append(weight.name)
    return names


def _tensors(layers: Sequence[Layer]) -> dict[str, tuple[Layer, Weight]]:
    """Return every tensor of a layer by its own name, and main weights by that of the layer."""
    by_layer = {layer.name: (layer, layer.weight) for layer in layers}
    by_tensor = {w.name: (layer, w) for layer in reversed(layers) for w in layer.tensors}
    return {**by_layer, **by_tensor}


def _pruned(name: str, mask: Array, weight: Weight) -> Mask:
    """Return where a mask is 0, flat."""
    if mask.shape != weight.shape:
        raise OptionError(
            f"mask {name!r} has the shape {mask.shape}, and the weight {weight.name!r} "
            f"has {weight.shape}; they must be the same"
        )
    if mask.dtype.kind not in "biuf" or not ((mask == 0) | (mask == 1)).all():
        raise OptionError(f"mask {name!r} holds other values than 1 (keep) and 0 (prune)")
    flat: Mask = np.ravel(mask == 0)
    return flat
