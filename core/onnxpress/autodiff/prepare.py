"""Getting a model ready: no functions, a rule for every operator on the way, all types known."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir
from onnx_ir.passes.common import TopologicalSortPass

from onnxpress.autodiff.backward import Walk
from onnxpress.autodiff.expand import DEEPEST, expand_nodes
from onnxpress.autodiff.inline import inline
from onnxpress.autodiff.layouts import put_time_first
from onnxpress.autodiff.lifting import lift_constants
from onnxpress.graph.types import infer_types


def prepare(model: ir.Model, walk: Walk, of: Collection[str], wrt: Collection[str]) -> None:
    """Inline functions, write out operators that have no rule, and note all types, in place.

    What bodies store is moved to the main graph, where gradients of it can be asked for;
    recurrent nodes with the batch first become such with time first.

    An operator on the way from `wrt` to `of` that has no rule of its own is written out by the
    function body that the ONNX standard gives for it, if there is one.

    Args:
        model: The graph.
        walk: The rules.
        of: Names of what is differentiated.
        wrt: Names of what it is differentiated with respect to.

    Raises:
        ModelError: If the functions of the model can't be inlined.
    """
    if model.functions:
        inline(model)
    TopologicalSortPass()(model)
    lift_constants(model)
    put_time_first(model)
    annotate(model)
    for _ in range(DEEPEST):
        if not expand_nodes(model, walk, of, wrt):
            break
        annotate(model)


def annotate(model: ir.Model) -> None:
    """Write what shape inference finds out into the values of a graph, in place."""
    types = infer_types(model)
    for value in (v for graph in model.graphs() for node in graph for v in node.outputs):
        found = types.get(value.name or "")
        if found is None:
            continue
        if found.dtype is not None:
            value.type = ir.TensorType(found.dtype)
        if found.shape is not None:
            value.shape = ir.Shape(found.shape)
