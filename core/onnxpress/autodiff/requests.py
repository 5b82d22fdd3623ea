"""Outputs that a rule needs and the model does not name: the mask of a Dropout, and the like."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.tensor import Tensor
from onnxpress.graph.types import Dim


def requested(
    at: Site, index: int, dtype: ir.DataType | None = None, shape: Sequence[Dim] | None = None
) -> Tensor:
    """Return an output of the node itself, which gets one more if it has none there.

    The node computes what it did before; only a name for what it leaves out is added.

    Args:
        at: The node.
        index: Which output.
        dtype: The element type of that output, for when nothing is known of it.
        shape: Its shape, likewise.
    """
    if len(at.node.outputs) <= index:
        at.node.resize_outputs(index + 1)
    value = at.node.outputs[index]
    if not value.name:
        value.name = at.op.name(f"{at.node.name or at.node.op_type}.output.{index}")
    known = at.op.tensor(value)
    if known.dtype is not None and known.shape is not None:
        return known
    return at.op.typed(value, known.dtype or dtype, known.shape or shape)
