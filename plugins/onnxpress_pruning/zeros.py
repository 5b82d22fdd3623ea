"""Writing zeros into a stored tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnxpress.graph.edit import Editor
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.weights import Weight
    from onnxpress.job import Job
    from onnxpress_pruning.ranking import Mask


def set_to_zero(
    edit: Editor, layer: Layer, weight: Weight, goes: Mask, job: Job, **more: object
) -> None:
    """Set the elements of a tensor at which `goes` (flat) is true to zero, and report it.

    Args:
        edit: What to change.
        layer: In whose name it is reported.
        weight: The tensor.
        goes: Flat.
        job: Told of it.
        more: Further figures for the report.
    """
    array = np.array(weight.array(), order="C")
    array.reshape(-1)[goes] = 0
    edit.set_weight(weight, array)
    zeros = array.size - int(np.count_nonzero(array))
    job.change(
        layer.name,
        weight=weight.name,
        sparsity=zeros / array.size,
        zeros=zeros,
        of=array.size,
        **more,
    )
