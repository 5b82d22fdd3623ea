"""What weights an operator has, and what their axes mean: the table ``layers``.

One rule per operator: given a node, which inputs hold weights, and which axis of
each counts output channels and which input channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import onnx_ir as ir

from onnxpress.graph.constants import Shape
from onnxpress.graph.weights import Role
from onnxpress.rules import RuleTable

NORMALIZATIONS: Final = frozenset(
    {
        "BatchNormalization",
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "RMSNormalization",
    }
)


@dataclass(frozen=True, slots=True)
class Slot:
    """One weight input of an operator.

    Attributes:
        index: Which input of the node.
        role: What the node uses it for.
        output_axis: The axis that counts output channels, if any; negative from the end.
        input_axis: The same for input channels.
    """

    index: int
    role: Role
    output_axis: int | None = None
    input_axis: int | None = None


class Constant(NamedTuple):
    """A constant as it arrives at a node: its shape, and whether it holds real numbers."""

    shape: Shape
    is_float: bool


ConstantAt: TypeAlias = Callable[[int], Constant | None]
"""Gives the constant at an input of the node by its index; None where it is not constant."""

LayerRule: TypeAlias = Callable[[ir.Node, ConstantAt], tuple[Slot, ...]]
LAYERS: Final[RuleTable[LayerRule]] = RuleTable("layers")


def integer(node: ir.Node, name: str, default: int) -> int:
    """Read an attribute; one that a function's caller gives counts as not given."""
    attribute = node.attributes.get(name)
    return default if attribute is None or attribute.is_ref() else attribute.as_int()


@LAYERS("Conv")
@LAYERS("FusedConv", "NhwcFusedConv", domain="com.microsoft")
def _conv(_node: ir.Node, _constant: ConstantAt) -> tuple[Slot, ...]:
    return Slot(1, "weight", output_axis=0, input_axis=1), Slot(2, "bias", output_axis=0)


@LAYERS("ConvInteger")
def _convinteger(_node: ir.Node, _constant: ConstantAt) -> tuple[Slot, ...]:
    return (Slot(1, "weight", output_axis=0, input_axis=1),)


@LAYERS("ConvTranspose")
def _conv_transpose(_node: ir.Node, _constant: ConstantAt) -> tuple[Slot, ...]:
    # With groups, it is the output axis that counts the channels of one group.
    return Slot(1, "weight", output_axis=1, input_axis=0), Slot(2, "bias", output_axis=0)


@LAYERS("QLinearConv")
def _conv_quantized(_node: ir.Node, _constant: ConstantAt) -> tuple[Slot, ...]:
    return Slot(3, "weight", output_axis=0, input_axis=1), Slot(8, "bias", output_axis=0)


@LAYERS("Gemm")
@LAYERS("FusedGemm", domain="com.microsoft")
def _gemm(node: ir.Node, constant: ConstantAt) -> tuple[Slot, ...]:
    bias = Slot(2, "bias", output_axis=-1)
    if constant(1) is not None:
        output = 0 if integer(node, "transB", 0) else 1
        return Slot(1, "weight", output_axis=output, input_axis=1 - output), bias
    # The constant is on the left: channels are rows, and so is a bias of one column.
    rows = 1 if integer(node, "transA", 0) else 0
    added = constant(2)
    column = added is not None and added.shape[1:] == (1,)
    bias = Slot(2, "bias", output_axis=0 if column else None)
    return Slot(0, "weight", output_axis=rows, input_axis=1 - rows), bias


@LAYERS("QGemm", domain="com.microsoft")
def _gemm_quantized(node: ir.Node, _constant: ConstantAt) -> tuple[Slot, ...]:
    output = 0 if integer(node, "transB", 0) else 1
    weight = Slot(3, "weight", output_axis=output, input_axis=1 - output)
    return weight, Slot(6, "bias", output_axis=-1)


@LAYERS("MatMul", "MatMulInteger")
@LAYERS("DynamicQuantizeMatMul", "MatMulIntegerToFloat", domain="com.microsoft")
def _matmul(_node: ir.Node, constant: ConstantAt) -> tuple[Slot, ...]:
    return _product(0, 1, constant)


@LAYERS("QLinearMatMul")
def _matmul_quantized(_node: ir.Node, constant: ConstantAt) -> tuple[Slot, ...]:
    return _product(0, 3, constant)


def _product(left: int, right: int, constant: ConstantAt) -> tuple[Slot, ...]:
    # A vector is summed away: it has input channels only.
    if (weight := constant(right)) is not None:
        output, input_ = (-1, -2) if len(weight.shape) > 1 else (None, 0)
        return (Slot(right, "weight", output, input_),)
    weight = constant(left)
    output = -2 if weight is not None and len(weight.shape) > 1 else None
    return (Slot(left, "weight", output, -1),)


@LAYERS("Gather")
def _embedding(node: ir.Node, constant: ConstantAt) -> tuple[Slot, ...]:
    # A table of numbers whose rows are looked up by what comes at run time.
    table = constant(0)
    numbers = table is not None and table.is_float and len(table.shape) > 1
    looked_up = constant(1) is None and integer(node, "axis", 0) == 0
    return (Slot(0, "weight", output_axis=-1),) if numbers and looked_up else ()


@LAYERS("LSTM", "GRU", "RNN")
def _recurrent(_node: ir.Node, _constant: ConstantAt) -> tuple[Slot, ...]:
    return (
        Slot(1, "weight", output_axis=1, input_axis=2),
        Slot(2, "recurrence", output_axis=1, input_axis=2),
        Slot(3, "bias", output_axis=1),
        Slot(7, "peephole", output_axis=1),
    )


@LAYERS("BatchNormalization")
def _batch_norm(_node: ir.Node, _constant: ConstantAt) -> tuple[Slot, ...]:
    roles: tuple[Role, ...] = ("scale", "bias", "mean", "variance")
    return tuple(Slot(i, role, output_axis=0) for i, role in enumerate(roles, start=1))


@LAYERS(*sorted(NORMALIZATIONS - {"BatchNormalization"}))
def _norm(_node: ir.Node, _constant: ConstantAt) -> tuple[Slot, ...]:
    return Slot(1, "scale", output_axis=-1), Slot(2, "bias", output_axis=-1)
