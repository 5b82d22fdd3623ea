"""The integer kernels that a graph could use: every node that has one, with what it swallows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx_ir as ir

from onnxpress.calibration import Range
from onnxpress.graph.axes import used_shape
from onnxpress.graph.constants import STANDARD, arrives_as_float, stored_constant, stored_tensor
from onnxpress.graph.layer_rules import Constant
from onnxpress.graph.layers import Layer
from onnxpress.rules import RuleTable
from onnxpress_quantization.kernels import Kernel, KernelRule

_UNBOUNDED: Final = Range(-np.inf, np.inf)


@dataclass(eq=False, slots=True)
class Step:
    """One integer kernel that a graph could use.

    Attributes:
        node: The node that the kernel stands for.
        kernel: What the kernel reads and gives.
        inputs: The tensors that it reads as integers, by input index; constants left out.
        outputs: The tensors that it gives: those of the last node that it swallows.
        bias: The node that adds the bias, and by which input; for a Conv that is itself.
        bounds: What the swallowed activation clips the result to, if there is one.
    """

    node: ir.Node
    kernel: Kernel
    inputs: Mapping[int, ir.Value]
    outputs: tuple[ir.Value, ...]
    bias: tuple[ir.Node, int] | None = None
    bounds: Range | None = None


def find_steps(
    graph: ir.Graph, layers: Mapping[ir.Node, Layer], rules: RuleTable[KernelRule]
) -> tuple[list[Step], dict[ir.Node, str]]:
    """Return the kernels for the nodes of a graph, in order, and why others have none.

    Args:
        graph: The main graph.
        layers: The layers that may be quantized, by node.
        rules: The table ``quantization``.
    """
    steps: list[Step] = []
    refused: dict[ir.Node, str] = {}
    swallowed: set[ir.Node] = set()
    for node in graph:
        rule = rules.find(node.op_type, node.domain, graph.opset_imports.get(node.domain))
        if rule is None or node in swallowed:
            continue
        kernel = rule(node, _constants(node))
        if isinstance(kernel, str):
            refused[node] = kernel
        elif kernel.role != "compute" or node in layers:
            step, tail = _step(node, kernel, layers.get(node))
            swallowed.update(tail)
            steps.append(step)
    return steps, refused


def _constants(node: ir.Node) -> Callable[[int], Constant | None]:
    def constant(index: int) -> Constant | None:
        found = stored_constant(node.inputs[index]) if index < len(node.inputs) else None
        return found and Constant(used_shape(*found) or (), arrives_as_float(*found))

    return constant


def _step(node: ir.Node, kernel: Kernel, layer: Layer | None) -> tuple[Step, list[ir.Node]]:
    inputs = {
        i: value
        for i in kernel.inputs
        if (value := node.inputs[i]) is not None and stored_constant(value) is None
    }
    step = Step(node, kernel, inputs, tuple(node.outputs), _own_bias(node, kernel))
    if kernel.role == "move":
        return step, []
    tail: list[ir.Node] = []
    if layer is not None and layer.added is not None and node.op_type == "MatMul":
        add, side = next(iter(node.outputs[0].uses()))
        step.bias = add, 1 - side
        tail.append(add)
    activation, bounds = _activation((tail or [node])[-1])
    if activation is not None:
        step.bounds = bounds
        tail.append(activation)
    step.outputs = tuple((tail or [node])[-1].outputs)
    return step, tail


def _own_bias(node: ir.Node, kernel: Kernel) -> tuple[ir.Node, int] | None:
    index = kernel.bias
    given = index is not None and index < len(node.inputs) and node.inputs[index] is not None
    return (node, index) if given and index is not None else None


def _activation(node: ir.Node) -> tuple[ir.Node | None, Range | None]:
    """Return the ReLU or Clip that alone reads the result of `node`, and its bounds."""
    if len(node.outputs) != 1:
        return None, None
    output, uses = node.outputs[0], node.outputs[0].uses()
    if len(uses) != 1 or output.is_graph_output():
        return None, None
    behind, side = next(iter(uses))
    if behind.domain not in STANDARD or behind.graph is not node.graph or side != 0:
        return None, None
    if behind.op_type == "Relu":
        return behind, Range(0.0, np.inf)
    bounds = _clip_bounds(behind) if behind.op_type == "Clip" else None
    # A grid always holds 0, so it can't clip by itself to bounds that leave 0 out.
    return (behind, bounds) if bounds and bounds.low <= 0 <= bounds.high else (None, None)


def _clip_bounds(node: ir.Node) -> Range | None:
    """Return the bounds of a Clip if they are constant."""
    ends = list(_UNBOUNDED)
    for place, value in enumerate(node.inputs[1:]):
        if value is not None:
            tensor = stored_tensor(value)
            if tensor is None or tensor.dtype != ir.DataType.FLOAT or tensor.size != 1:
                return None
            ends[place] = float(tensor.numpy().item())
    return Range(*ends)
