"""Getting a model ready: a copy without functions, every operator with a rule, all types known."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass, TopologicalSortPass

from onnxpress.autodiff.backward import Walk
from onnxpress.autodiff.expand import expand_nodes
from onnxpress.graph.types import infer_types


def prepare(model: ir.Model, walk: Walk) -> None:
    """Inline functions, write out operators that have no rule, and note all types, in place.

    An operator without a rule of its own is written out by the function body that the ONNX
    standard gives for it, if there is one.
    """
    if model.functions:
        InlinePass()(model)
    TopologicalSortPass()(model)
    annotate(model)
    if expand_nodes(model, walk):
        annotate(model)


def annotate(model: ir.Model) -> None:
    """Write what shape inference finds out into the values of a graph, in place."""
    types = infer_types(model)
    for graph in model.graphs():
        for value in _values(graph):
            found = types.get(value.name or "")
            if found is None:
                continue
            if found.dtype is not None:
                value.type = ir.TensorType(found.dtype)
            if found.shape is not None:
                value.shape = ir.Shape(found.shape)


def _values(graph: ir.Graph) -> Sequence[ir.Value]:
    return [value for node in graph for value in node.outputs]
