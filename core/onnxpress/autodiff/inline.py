"""Inlining: calls of a model's functions become the nodes that the functions hold."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from onnxpress.errors import ModelError
from onnxpress.graph.constants import subgraphs
from onnxpress.graph.names import take_name, values_by_name


def inline(model: ir.Model) -> None:
    """Replace every call of a function of the model by the function's nodes, in place.

    What a call computes keeps its names.  Attributes that a call does not give take the
    function's defaults; inputs and outputs may be left out.

    Raises:
        ModelError: If a function uses operators of another version than the model.
    """
    names = set(values_by_name(model))
    for function in model.functions.values():
        _tell_apart(function, names)
    bodies: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    for node in (node for body in bodies for node in body.all_nodes()):
        if called := model.functions.get(node.op_identifier()):
            _name_all(node, called, names)
    try:
        InlinePass()(model)
    except (ir.passes.InvariantError, ValueError) as error:
        raise ModelError(f"the functions of the model can't be written out: {error}") from error


def _tell_apart(function: ir.Function, names: set[str]) -> None:
    """Rename what a function computes where the model, bodies included, has the name already."""
    for node in function.all_nodes():
        inner = (value for body in subgraphs(node) for value in body.inputs)
        for value in (*node.outputs, *inner):
            if value.name:
                value.name = take_name(value.name, names)
        # The pass searches for free names from the start: unnamed nodes would take it long.
        node.name = node.name or node.outputs[0].name


def _name_all(call: ir.Node, function: ir.Function, names: set[str]) -> None:
    """Give a name to the outputs that a call leaves out: the function's nodes may read them."""
    for value, inner in zip(call.outputs, function.outputs, strict=True):
        value.name = value.name or take_name(inner.name or "unused", names)
