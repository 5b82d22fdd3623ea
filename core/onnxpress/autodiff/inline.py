"""Inlining: calls of a model's functions become the nodes that the functions hold."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from onnxpress.errors import ModelError
from onnxpress.graph.constants import subgraphs


def inline(model: ir.Model) -> None:
    """Replace every call of a function of the model by the function's nodes, in place.

    What a call computes keeps its names.  Attributes that a call does not give take the
    function's defaults; inputs and outputs may be left out.

    Raises:
        ModelError: If a function uses operators of another version than the model.
    """
    names = {value.name or "" for graph in model.graphs() for value in _values(graph)}
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


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs


def _tell_apart(function: ir.Function, names: set[str]) -> None:
    """Rename what a function computes where the model, bodies included, has the name already."""
    for node in function.all_nodes():
        inner = (value for body in subgraphs(node) for value in body.inputs)
        for value in (*node.outputs, *inner):
            if value.name:
                value.name = _new(value.name, names)
        # The pass searches for free names from the start: unnamed nodes would take it long.
        node.name = node.name or node.outputs[0].name


def _name_all(call: ir.Node, function: ir.Function, names: set[str]) -> None:
    """Give a name to the outputs that a call leaves out: the function's nodes may read them."""
    for value, inner in zip(call.outputs, function.outputs, strict=True):
        value.name = value.name or _new(inner.name or "unused", names)


def _new(wished: str, names: set[str]) -> str:
    name, number = wished, 1
    while name in names:
        number += 1
        name = f"{wished}_{number}"
    names.add(name)
    return name
