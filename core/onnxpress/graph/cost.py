"""What a model costs: parameters, multiply-accumulates, bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from onnxpress.graph.constants import (
    FLOATS,
    QUANTIZERS,
    STANDARD,
    constant_tensor,
    shape_of,
    stored_tensor,
    stored_values,
    subgraphs,
)
from onnxpress.graph.layers import find_layers
from onnxpress.graph.macs import COST, CostRule, ShapeOf, UnknownShapeError
from onnxpress.graph.size import bytes_in_memory, bytes_stored
from onnxpress.graph.types import UNKNOWN, assumed_dims, infer_types
from onnxpress.graph.weights import MULTIPLIED

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule, RuleTable

__all__ = ["COST", "Cost", "CostRule", "ShapeOf", "UnknownShapeError", "cost_of"]

_TAKE_SETTINGS: Final = QUANTIZERS | {
    "ConvInteger",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QGemm",
    "QLinearConv",
    "QLinearMatMul",
    "Resize",
    "Upsample",
}
"""Operators whose inputs after the first are scales and the like, unless they are weights."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one inference costs, and what the model takes up.

    Attributes:
        parameters: The elements of all stored tensors that layers read (weights, biases,
            scales, running statistics), and of other stored float tensors of more than
            one element; each tensor counts once.
        weights: The elements of kernels, matrices and tables only, as papers count them.
        macs: Multiply-accumulates; of the branches of an If the most expensive counts.
        bytes_in_memory: The bytes of all stored tensors.
        bytes_stored: The size on disk, external data included.
        layers: Multiply-accumulates by layer, and by node for products of two activations,
            in graph order; a node in a loop counts for all its turns.
        assumed: The input dimensions that were taken as 1: a symbol, or ``input[axis]``.
        unknown: Nodes that may cost something but whose multiply-accumulates are not in
            `macs`, and why.
    """

    parameters: int
    weights: int
    macs: int
    bytes_in_memory: int
    bytes_stored: int
    layers: Mapping[str, int]
    assumed: tuple[str, ...]
    unknown: Mapping[str, str]


def cost_of(model: Model, dims: Mapping[str, int], rules: tuple[Rule, ...] = ()) -> Cost:
    """Count what `model` costs.

    Args:
        model: The model.
        dims: Sizes of symbolic dimensions of the inputs, by symbol or ``input[axis]``;
            those not named count as 1.
        rules: Rules of plugins for the table ``cost``.

    Raises:
        UnknownNameError: If `dims` names a dimension that no input has.
        OptionError: If a size is less than 1.
    """
    counter = _Counter(model, dims, COST + rules)
    macs = counter.graph(counter.ir.graph, 1)
    return Cost(
        parameters=count_parameters(model),
        weights=_count_weights(model),
        macs=macs,
        bytes_in_memory=bytes_in_memory(model.ir),
        bytes_stored=bytes_stored(model),
        layers=counter.layers,
        assumed=assumed_dims(model.ir, dims),
        unknown=counter.unknown,
    )


@dataclass
class _Counter:
    """Adds up multiply-accumulates over a graph in which functions are inlined."""

    model: Model
    dims: Mapping[str, int]
    table: RuleTable[CostRule]
    layers: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ir = self.model.ir
        if self.ir.functions:
            self.ir = self.ir.clone()
            InlinePass()(self.ir)
        self._types = infer_types(self.ir, self.dims)
        # Inlining keeps the order of layers; their names are those of the original.
        inlined = find_layers(self.ir)
        self._names = {
            layer.node: named.name for layer, named in zip(inlined, self.model.layers, strict=False)
        }

    def graph(self, graph: ir.Graph, turns: int) -> int:
        """Return the multiply-accumulates of all nodes of a graph that runs `turns` times."""
        return sum(self._node(node, turns) for node in graph)

    def _node(self, node: ir.Node, turns: int) -> int:
        name = self._names.get(node) or node.name or node.outputs[0].name or node.op_type
        try:
            return self._macs(node, name, turns)
        except UnknownShapeError as error:
            self.unknown[name] = str(error)
            return 0

    def _macs(self, node: ir.Node, name: str, turns: int) -> int:
        if bodies := list(subgraphs(node)):
            inner = turns * self._turns(node, name)
            return max(self.graph(body, inner) for body in bodies)
        rule = self.table.find(node.op_type, node.domain, self.ir.opset_imports.get(node.domain))
        if rule is not None:
            macs = turns * rule(node, self._shape)
            self.layers[name] = self.layers.get(name, 0) + macs
            return macs
        if node.domain not in STANDARD:
            self.unknown[name] = f"the table 'cost' has no rule for {node.domain}::{node.op_type}"
        return 0

    def _turns(self, node: ir.Node, name: str) -> int:
        """Return how often the body of a node runs."""
        if node.op_type == "Scan":
            first = len(node.inputs) - node.attributes.get_int("num_scan_inputs", 1)
            axis = node.attributes.get_ints("scan_input_axes", (0,))[0]
            return self._shape(node.inputs[first])[axis]
        limit = stored_tensor(node.inputs[0]) if node.op_type == "Loop" else None
        if limit is not None:
            return int(limit.numpy().item())
        if node.op_type != "If":
            self.unknown[name] = "how often it runs is not known; its body is counted once"
        return 1

    def _shape(self, value: ir.Value | None) -> tuple[int, ...]:
        name = value.name if value is not None else None
        tensor = constant_tensor(value) if value is not None else None
        if tensor is not None:
            return shape_of(tensor)
        shape = self._types.get(name or "", UNKNOWN).fixed
        if shape is None:
            raise UnknownShapeError(f"the shape of {name!r} is not known")
        return shape


def count_parameters(model: Model) -> int:
    """Count the parameters as `Cost.parameters` defines them."""
    return sum(parameter_sizes(model).values())


def parameter_sizes(model: Model) -> dict[ir.Value, int]:
    """Return the elements of every stored tensor that `Cost.parameters` counts."""
    sizes = {w.value: w.size for layer in model.layers for w in layer.tensors}
    for value, tensor in stored_values(model.ir):
        if value not in sizes and tensor.dtype in FLOATS and tensor.size > 1 and _is_learned(value):
            sizes[value] = int(tensor.size)
    return sizes


def _is_learned(value: ir.Value) -> bool:
    """Say whether a float tensor may be learned, not the setting of an operator such as a scale."""
    return any(index == 0 or node.op_type not in _TAKE_SETTINGS for node, index in value.uses())


def _count_weights(model: Model) -> int:
    weights = (w for layer in model.layers for w in layer.weights if w.role in MULTIPLIED)
    return sum({w.value: w.size for w in weights}.values())
