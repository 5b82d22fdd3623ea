"""Layers: the parametrised computations of a graph, and what their axes mean.

One rule per operator, in the table `LAYERS`: given a node, which inputs hold
weights, which axis of each counts output channels and which input channels, and
how many groups there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import onnx_ir as ir

from onnxpress.graph.weights import Role, Weight, stored_axis, stored_constant
from onnxpress.rules import RuleTable


@dataclass(frozen=True, slots=True)
class Slot:
    """One weight input of an operator: its index, its role, and its channel axes in use."""

    index: int
    role: Role
    output_axis: int | None = None
    input_axis: int | None = None


LayerRule: TypeAlias = Callable[[ir.Node], tuple[Slot, ...]]
LAYERS: Final[RuleTable[LayerRule]] = RuleTable("layers")

_BIAS_ROLES: Final = {"bias", "mean", "variance"}
NORMALIZATIONS: Final = frozenset(
    {
        "BatchNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "GroupNormalization",
        "RMSNormalization",
    }
)


@dataclass(frozen=True, slots=True)
class Layer:
    """A node with weights.

    Attributes:
        name: The node's name, or its first output's where it has none; unique in the model.
        node: The node in the graph.
        weights: Its stored tensors, the main weight first.
        groups: Into how many groups channels are divided (convolutions).
    """

    name: str
    node: ir.Node
    weights: tuple[Weight, ...]
    groups: int = 1

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
        """The bias, if there is a constant one."""
        return next((w for w in self.weights if w.role == "bias"), None)

    @property
    def normalizes(self) -> bool:
        """Whether this is a normalisation."""
        return self.op_type in NORMALIZATIONS

    @property
    def parameters(self) -> int:
        """The number of stored elements, biases included."""
        return sum(w.size for w in self.weights)


def find_layers(model: ir.Model) -> tuple[Layer, ...]:
    """Return the layers of a graph in order, those of subgraphs included."""
    seen: set[str] = set()
    found: list[Layer] = []
    for node in model.graph.all_nodes():
        if layer := _layer(node, model.opset_imports.get(node.domain), seen):
            found.append(layer)
    return tuple(found)


def _layer(node: ir.Node, opset: int | None, taken: set[str]) -> Layer | None:
    rule = LAYERS.find(node.op_type, node.domain, opset)
    if rule is None:
        return None
    weights = tuple(_weights(node, rule(node)))
    if not weights or weights[0].role in _BIAS_ROLES:
        return None
    return Layer(_unique_name(node, taken), node, weights, _int(node, "group", 1))


def _unique_name(node: ir.Node, taken: set[str]) -> str:
    name = node.name or node.outputs[0].name or node.op_type
    if name in taken:
        name = node.outputs[0].name or f"{name}_{len(taken)}"
    taken.add(name)
    return name


def _weights(node: ir.Node, slots: tuple[Slot, ...]) -> Iterator[Weight]:
    for slot in slots:
        used_as = node.inputs[slot.index] if slot.index < len(node.inputs) else None
        found = stored_constant(used_as)
        if found is not None and used_as is not None:
            value, path = found
            axes = (stored_axis(a, path) for a in (slot.output_axis, slot.input_axis))
            yield Weight(slot.role, value, used_as, path, *axes)


def _int(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


# The rules.


@LAYERS("Conv")
def _conv(node: ir.Node) -> tuple[Slot, ...]:
    return Slot(1, "weight", output_axis=0, input_axis=1), Slot(2, "bias", output_axis=0)


@LAYERS("ConvTranspose")
def _conv_transpose(node: ir.Node) -> tuple[Slot, ...]:
    return Slot(1, "weight", output_axis=1, input_axis=0), Slot(2, "bias", output_axis=0)


@LAYERS("Gemm")
def _gemm(node: ir.Node) -> tuple[Slot, ...]:
    output = 0 if _int(node, "transB", 0) else 1
    if stored_constant(node.inputs[1]) is None:  # the constant is on the left
        rows = 1 if _int(node, "transA", 0) else 0
        return (Slot(0, "weight", output_axis=rows, input_axis=1 - rows),)
    return (
        Slot(1, "weight", output_axis=output, input_axis=1 - output),
        Slot(2, "bias", output_axis=-1),
    )


@LAYERS("MatMul")
def _matmul(node: ir.Node) -> tuple[Slot, ...]:
    if stored_constant(node.inputs[1]) is None:
        return (Slot(0, "weight", output_axis=-2, input_axis=-1),)
    return (Slot(1, "weight", output_axis=-1, input_axis=-2),)


@LAYERS("Gather")
def _embedding(node: ir.Node) -> tuple[Slot, ...]:
    return (Slot(0, "weight", output_axis=-1),) if _int(node, "axis", 0) == 0 else ()


@LAYERS("LSTM", "GRU", "RNN")
def _recurrent(node: ir.Node) -> tuple[Slot, ...]:
    return (
        Slot(1, "weight", output_axis=1, input_axis=2),
        Slot(2, "recurrence", output_axis=1, input_axis=2),
        Slot(3, "bias", output_axis=1),
    )


@LAYERS("BatchNormalization")
def _batch_norm(node: ir.Node) -> tuple[Slot, ...]:
    roles: tuple[Role, ...] = ("scale", "bias", "mean", "variance")
    return tuple(Slot(i, role, output_axis=0) for i, role in enumerate(roles, start=1))


@LAYERS("InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization")
def _norm(node: ir.Node) -> tuple[Slot, ...]:
    return Slot(1, "scale", output_axis=-1), Slot(2, "bias", output_axis=-1)
