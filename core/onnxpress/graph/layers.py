"""Layers: the parametrised computations of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import onnx_ir as ir

from onnxpress.graph.axes import used_shape
from onnxpress.graph.constants import STANDARD, arrives_as_float, stored_constant
from onnxpress.graph.layer_rules import (
    LAYERS,
    NORMALIZATIONS,
    Constant,
    LayerRule,
    Slot,
    integer,
)
from onnxpress.graph.weights import Weight, find_weight

__all__ = ["LAYERS", "NORMALIZATIONS", "Layer", "Slot", "find_layers", "walk"]

_MAIN_ROLES: Final = frozenset({"weight", "scale"})


@dataclass(frozen=True, slots=True)
class Layer:
    """A node with weights.

    Attributes:
        name: The node's name, or its first output's where it has none; unique in the model.
        node: The node in the graph.
        weights: The stored tensors that the node reads, the main weight first.
        groups: Into how many groups channels are divided (convolutions).
        added: The constant that an Add, the only reader of the node's output, adds to every
            output channel: a bias outside the node.  None if there is no such Add.
        calls: For a node in the body of a function, the calls that lead to it, outermost
            first.  Other calls may share such a node: change its weights, but not the node.
    """

    name: str
    node: ir.Node
    weights: tuple[Weight, ...]
    groups: int = 1
    added: Weight | None = None
    calls: tuple[ir.Node, ...] = ()

    @property
    def op_type(self) -> str:
        """The operator, such as ``Conv``."""
        return self.node.op_type

    @property
    def weight(self) -> Weight:
        """The main weight (a normalisation's scale)."""
        return self.weights[0]

    @property
    def bias(self) -> Weight | None:
        """The bias that the node itself reads, if there is a constant one."""
        return next((w for w in self.weights if w.role == "bias"), None)

    @property
    def normalizes(self) -> bool:
        """Whether this is a normalisation."""
        return self.op_type in NORMALIZATIONS

    @property
    def tensors(self) -> tuple[Weight, ...]:
        """All stored tensors of the layer: `weights`, and `added`."""
        return self.weights if self.added is None else (*self.weights, self.added)

    @property
    def parameters(self) -> int:
        """The number of stored elements, biases included."""
        return sum({w.name: w.size for w in self.tensors}.values())

    @property
    def precision(self) -> str:
        """The type of the main weight's values: ``float32``, ``int8``; see `Weight.precision`."""
        return self.weight.precision


_Bound: TypeAlias = Mapping[ir.Value, ir.Value]


def find_layers(model: ir.Model) -> tuple[Layer, ...]:
    """Return the layers of a graph in order, with those of subgraphs and of function calls."""
    taken: set[str] = set()
    found: list[Layer] = []
    for node, calls, bound in walk(model):
        opset = model.opset_imports.get(node.domain)
        rule = LAYERS.find(node.op_type, node.domain, opset)
        weights = _weights(node, rule, bound) if rule else ()
        if weights and weights[0].role in _MAIN_ROLES:
            name = _unique(node, calls, taken)
            added = _added_bias(node, weights)
            found.append(Layer(name, node, weights, integer(node, "group", 1), added, calls))
    return tuple(found)


def walk(model: ir.Model) -> Iterator[tuple[ir.Node, tuple[ir.Node, ...], _Bound]]:
    """Visit every node that runs: those of subgraphs and of called functions too.

    Yields:
        The node; the function calls that lead to it, outermost first; and what those
        calls give for the inputs of their functions.
    """
    yield from _walk(model, model.graph, (), {})


def _walk(
    model: ir.Model, body: ir.Graph | ir.Function, calls: tuple[ir.Node, ...], bound: _Bound
) -> Iterator[tuple[ir.Node, tuple[ir.Node, ...], _Bound]]:
    for node in body.all_nodes():
        function = model.functions.get(node.op_identifier())
        if function is None:
            yield node, calls, bound
        elif len(calls) < len(model.functions):  # ONNX forbids functions that call themselves
            given = {
                formal: bound.get(actual, actual)
                for formal, actual in zip(function.inputs, node.inputs, strict=False)
                if actual is not None
            }
            yield from _walk(model, function, (*calls, node), {**bound, **given})


def _weights(node: ir.Node, rule: LayerRule, bound: _Bound) -> tuple[Weight, ...]:
    def constant(index: int) -> Constant | None:
        found = stored_constant(_input(node, index), bound)
        return (
            None if found is None else Constant(used_shape(*found) or (), arrives_as_float(*found))
        )

    found = (
        find_weight(slot.role, _input(node, slot.index), slot.output_axis, slot.input_axis, bound)
        for slot in rule(node, constant)
    )
    return tuple(weight for weight in found if weight is not None)


def _input(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None


def _unique(node: ir.Node, calls: tuple[ir.Node, ...], taken: set[str]) -> str:
    names = [n.name or n.outputs[0].name or n.op_type for n in (*calls, node)]
    name = "/".join(names)
    if name in taken:
        name = "/".join([*names[:-1], node.outputs[0].name or names[-1]])
    number, wanted = 1, name
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def _added_bias(node: ir.Node, weights: tuple[Weight, ...]) -> Weight | None:
    """Find the bias that exporters put into an Add behind a MatMul or a Conv."""
    output, uses = node.outputs[0], list(node.outputs[0].uses())
    plain = node.op_type in {"MatMul", "Conv"} and len(weights) == 1
    if not plain or len(uses) != 1 or output.is_graph_output():
        return None
    add, side = uses[0]
    if add.op_type != "Add" or add.domain not in STANDARD:
        return None
    return _channel_bias(add.inputs[1 - side], node, weights[0])


def _channel_bias(value: ir.Value | None, node: ir.Node, weight: Weight) -> Weight | None:
    """Return the constant `value` as a bias if it holds one number for each output channel."""
    found, kernel = stored_constant(value), used_shape(weight.value, weight.path)
    if found is None or kernel is None or weight.output_axis is None:
        return None
    # Counted from the end, as broadcasting does: (C) for MatMul, (C, 1, 1) for a 2-D Conv.
    axis = -1 if node.op_type == "MatMul" else 1 - len(kernel)
    wanted = (weight.shape[weight.output_axis], *(1 for _ in range(-axis - 1)))
    shape = used_shape(*found) or ()
    spare = len(shape) - len(wanted)
    if spare < 0 or shape != (1,) * spare + wanted:
        return None
    return find_weight("bias", value, axis, None)
