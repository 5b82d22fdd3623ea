"""Multiply-accumulates per operator: the table ``cost``.

Only multiplications that are summed up count, as in the tables of papers:
convolutions, matrix products and recurrent cells.  Normalisations, activations,
pooling and everything elementwise count as 0, and so do biases.

A rule gets the node and a function that gives the shape of one of its inputs or
outputs as integers; it returns the multiply-accumulates of one run::

    @COST("MatMul")
    def _matmul(node: ir.Node, shape: ShapeOf) -> int:
        return math.prod(shape(node.outputs[0])) * shape(node.inputs[0])[-1]

A plugin offers ``Rule("cost", "Product", function, domain="com.acme")``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import onnx_ir as ir

from onnxpress.rules import RuleTable

ShapeOf: TypeAlias = Callable[["ir.Value | None"], tuple[int, ...]]
CostRule: TypeAlias = Callable[[ir.Node, ShapeOf], int]
COST: Final[RuleTable[CostRule]] = RuleTable("cost")

_FUSED: Final = "com.microsoft"


class UnknownShapeError(LookupError):
    """A rule asked for a shape that nobody knows."""


@COST("Conv", "ConvInteger", "DeformConv")
@COST("FusedConv", "NhwcFusedConv", domain=_FUSED)
def _conv(node: ir.Node, shape: ShapeOf) -> int:
    return _kernel_at_every_output(node, shape(node.inputs[1]), shape)


@COST("QLinearConv")
@COST("QLinearConv", domain=_FUSED)
def _conv_quantized(node: ir.Node, shape: ShapeOf) -> int:
    return _kernel_at_every_output(node, shape(node.inputs[3]), shape)


def _kernel_at_every_output(node: ir.Node, kernel: tuple[int, ...], shape: ShapeOf) -> int:
    # kernel: output channels, input channels of one group, then the window
    return math.prod(shape(node.outputs[0])) * math.prod(kernel[1:])


@COST("ConvTranspose")
def _conv_transpose(node: ir.Node, shape: ShapeOf) -> int:
    # Every element of the input meets the kernel of its channel once.
    return math.prod(shape(node.inputs[0])) * math.prod(shape(node.inputs[1])[1:])


@COST("Gemm")
@COST("FusedGemm", "QGemm", domain=_FUSED)
def _gemm(node: ir.Node, shape: ShapeOf) -> int:
    summed = shape(node.inputs[0])[0 if node.attributes.get_int("transA", 0) else 1]
    return math.prod(shape(node.outputs[0])) * summed


@COST("MatMul", "MatMulInteger", "QLinearMatMul")
@COST("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulNBits", domain=_FUSED)
def _matmul(node: ir.Node, shape: ShapeOf) -> int:
    return math.prod(shape(node.outputs[0])) * shape(node.inputs[0])[-1]


@COST("FusedMatMul", domain=_FUSED)
def _matmul_fused(node: ir.Node, shape: ShapeOf) -> int:
    summed = shape(node.inputs[0])[-2 if node.attributes.get_int("transA", 0) else -1]
    return math.prod(shape(node.outputs[0])) * summed


@COST("LSTM", "GRU", "RNN")
def _recurrent(node: ir.Node, shape: ShapeOf) -> int:
    # In every step, each sample meets both matrices of every direction.
    steps_times_batch = math.prod(shape(node.inputs[0])[:2])
    return steps_times_batch * sum(math.prod(shape(matrix)) for matrix in node.inputs[1:3])


@COST("Attention", since=23)
def _attention(node: ir.Node, shape: ShapeOf) -> int:
    # Every query meets every key, then every value is weighed: softmax(Q·Kᵀ)·V.
    past = node.inputs[4] if len(node.inputs) > 4 else None  # noqa: PLR2004
    keys = shape(node.inputs[1])[-2] + (0 if past is None else shape(past)[-2])
    return keys * (math.prod(shape(node.inputs[0])) + math.prod(shape(node.outputs[0])))


@COST("Einsum")
def _einsum(node: ir.Node, shape: ShapeOf) -> int:
    """Count one product for every combination of indices and every operand after the first."""
    equation = node.attributes.get_string("equation", "").replace(" ", "")
    sizes: dict[str, int] = {}
    broadcast: tuple[int, ...] = ()
    for letters, value in zip(equation.split("->")[0].split(","), node.inputs, strict=True):
        before, dots, after = letters.partition("...")
        dims = shape(value)
        sizes.update(zip(before, dims, strict=False))
        sizes.update(zip(reversed(after), reversed(dims), strict=False))
        hidden = dims[len(before) : len(dims) - len(after)] if dots else ()
        broadcast = max(broadcast, hidden, key=math.prod)
    return math.prod(sizes.values()) * math.prod(broadcast) * (len(node.inputs) - 1)
