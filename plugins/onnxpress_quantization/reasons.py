"""Why a layer stays in float, in words for a user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import onnx_ir as ir

from onnxpress.graph.constants import QUANTIZERS, type_name
from onnxpress.graph.layers import Layer
from onnxpress_quantization.plan import Plan

_HEAVY: Final = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_RECURRENT: Final = frozenset({"LSTM", "GRU", "RNN"})


def obstacle(layer: Layer, graph: ir.Graph) -> str | None:
    """Say what about a layer's place or type rules integers out; None if nothing does."""
    if layer.calls:
        return f"it is in the body of the function {layer.calls[-1].op_type}"
    if layer.node.graph is not graph:
        return "it is inside a subgraph (If, Loop or Scan)"
    return type_obstacle(layer)


def type_obstacle(layer: Layer) -> str | None:
    """Say what about the type of a layer's weights rules integers out."""
    quantizer = any(node.op_type in QUANTIZERS for node in layer.weight.path)
    if quantizer or not layer.weight.dtype.is_floating_point():
        return "it is quantized already"
    kinds = {weight.dtype for weight in layer.weights} - {ir.DataType.FLOAT}
    if kinds:
        names = ", ".join(sorted(map(type_name, kinds)))
        return f"it computes in {names}, and only float32 is quantized"
    # A sum is finite only if all its terms are, for numbers of a sensible size.
    if not all(np.isfinite(weight.array().sum(dtype=np.float64)) for weight in layer.weights):
        return "its weights hold NaN or infinite values"
    return "its weights are empty" if layer.weight.size == 0 else None


def left_in_float(
    graph: ir.Graph,
    plan: Plan,
    layers: Mapping[ir.Node, Layer],
    refused: Mapping[ir.Node, str],
    obstacles: Mapping[ir.Node, str | None],
) -> Iterator[tuple[str, str]]:
    """Yield what computes in float, and why: layers, and what breaks a chain of integers.

    Args:
        graph: The main graph, before anything is written into it.
        plan: What computes in integers.
        layers: The layers that should.
        refused: Nodes whose rule said no, with its words.
        obstacles: What `obstacle` said of the layers.
    """
    integer = {step.node for step in plan.steps}
    for node, layer in layers.items():
        if node not in integer:
            yield layer.name, obstacles[node] or refused.get(node) or _no_kernel(layer)
    for node in graph:
        if node in layers or node in integer:
            continue
        name = node.name or node.outputs[0].name or node.op_type
        if node in refused and (node.op_type in _HEAVY or _reads_integers(node, plan)):
            yield name, _overridable(node) or refused[node]
        elif node not in refused and _breaks_chain(node, plan):
            yield name, f"ONNX Runtime has no integer kernel for {node.op_type}"


def _no_kernel(layer: Layer) -> str:
    if layer.op_type in _RECURRENT:
        return f"{layer.op_type} has no static integer form; its state changes with every step"
    if layer.op_type == "Gather":
        return "a table that is looked up multiplies nothing, so integers would not be faster"
    if layer.normalizes:
        return f"{layer.op_type} has no integer kernel, and no layer in front to be folded into"
    return f"ONNX Runtime has no integer kernel for {layer.op_type}"


def _reads_integers(node: ir.Node, plan: Plan) -> bool:
    return any(value in plan.makers and value in plan.origin for value in node.inputs if value)


def _breaks_chain(node: ir.Node, plan: Plan) -> bool:
    between = any(value in plan.origin and value not in plan.makers for value in node.outputs)
    return between and _reads_integers(node, plan)


def _overridable(node: ir.Node) -> str | None:
    for value in node.inputs:
        if value is not None and value.is_initializer() and value.is_graph_input():
            return (
                f"{value.name!r} is also an input of the model, so a caller may override it; "
                "freeze makes it a constant"
            )
    return None
