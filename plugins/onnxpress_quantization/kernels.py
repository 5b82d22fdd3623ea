"""How each operator computes on integers, in the table ``quantization``.

One rule per operator, for ONNX Runtime 1.22 and later on the CPU: what stands here
was found by looking at the graphs that ONNX Runtime makes of ``DequantizeLinear → op
→ QuantizeLinear`` (tests/plugins/quantization/test_kernels.py looks again).  An
operator without a rule computes in float.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import onnx_ir as ir

from onnxpress.graph.constants import stored_tensor
from onnxpress.graph.layer_rules import ConstantAt
from onnxpress.rules import RuleTable

Role: TypeAlias = Literal["compute", "mix", "move"]


@dataclass(frozen=True, slots=True)
class Kernel:
    """How an operator computes on integers.

    Attributes:
        role: ``compute``: the heavy work, always worth quantizing.  ``mix``: makes new
            values, worth it between others.  ``move``: hands on the values it gets, so
            that input and output share one grid.
        inputs: The inputs that are integers; a constant among them is stored as such.
        weight: The input that is a weight, if any.
        axis: The axis of the weight, as the node reads it, that counts output channels.
        bias: The input that is a bias of int32, if any.
        floats_out: Whether the kernel can also give floats.
        keeps_all: For ``move``: whether no element gets lost.
        fill: For ``move``: the input that says with what to fill up, a constant 0.  Such an
            operator has no fusion: it stands itself between QuantizeLinear and
            DequantizeLinear, and fills up with the zero point.
    """

    role: Role
    inputs: tuple[int, ...] = (0,)
    weight: int | None = None
    axis: int | None = None
    bias: int | None = None
    floats_out: bool = False
    keeps_all: bool = False
    fill: int | None = None

    @property
    def on_integers(self) -> bool:
        """Whether the node itself reads and gives integers."""
        return self.fill is not None


KernelRule: TypeAlias = Callable[[ir.Node, ConstantAt], "Kernel | str"]
"""Returns the kernel, or in words for a user why there is none for this node."""

KERNELS: Final[RuleTable[KernelRule]] = RuleTable("quantization")

_COMPUTED_WEIGHT: Final = "its weight is computed at run time"
_COMPUTED_BIAS: Final = "its bias is computed at run time"
_NO_KERNEL: Final = "ONNX Runtime has no integer kernel for {}"


# The heavy work.


@KERNELS("Conv")
def _conv(node: ir.Node, constant: ConstantAt) -> Kernel | str:
    if constant(1) is None:
        return _COMPUTED_WEIGHT
    if _given(node, 2) is not None and constant(2) is None:
        return _COMPUTED_BIAS
    return Kernel("compute", weight=1, axis=0, bias=2)


@KERNELS("Gemm")
def _gemm(node: ir.Node, constant: ConstantAt) -> Kernel | str:
    if constant(1) is None:
        return _COMPUTED_WEIGHT if constant(0) is None else "its weight is the left operand"
    attributes = node.attributes
    if attributes.get_int("transA", 0):
        return "its input is transposed (transA), which the integer kernel can't do"
    if attributes.get_float("alpha", 1.0) != 1.0 or attributes.get_float("beta", 1.0) != 1.0:
        return "it scales its result (alpha, beta), which the integer kernel can't do"
    if _given(node, 2) is not None and constant(2) is None:
        return _COMPUTED_BIAS
    bias = constant(2)
    if bias is not None and any(size != 1 for size in bias.shape[:-1]):
        return "its bias differs from row to row"
    axis = 0 if attributes.get_int("transB", 0) else 1
    return Kernel("compute", weight=1, axis=axis, bias=2, floats_out=True)


@KERNELS("MatMul")
def _matmul(_node: ir.Node, constant: ConstantAt) -> Kernel | str:
    weight = constant(1)
    if weight is None:
        return "both operands are computed" if constant(0) is None else "its weight is on the left"
    if len(weight.shape) != 2:  # noqa: PLR2004
        return f"its weight has {len(weight.shape)} axes, and the integer kernel takes matrices"
    return Kernel("compute", weight=1, axis=1, floats_out=True)


# New values out of several or of all.


@KERNELS("Add", "Mul")
def _binary(_node: ir.Node, _constant: ConstantAt) -> Kernel | str:
    return Kernel("mix", inputs=(0, 1))


@KERNELS("Concat")
def _concat(node: ir.Node, _constant: ConstantAt) -> Kernel | str:
    return Kernel("mix", inputs=tuple(range(len(node.inputs))))


@KERNELS("Where", since=9)
def _where(_node: ir.Node, _constant: ConstantAt) -> Kernel | str:
    return Kernel("mix", inputs=(1, 2))


@KERNELS("AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid")
def _unary(_node: ir.Node, _constant: ConstantAt) -> Kernel | str:
    return Kernel("mix")


# Values handed on.


@KERNELS("DepthToSpace", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
def _rearrange(_node: ir.Node, _constant: ConstantAt) -> Kernel | str:
    return Kernel("move", keeps_all=True)


@KERNELS("Expand", "Gather", "ReduceMax", "ReduceMin", "Slice", "Split", "Tile")
@KERNELS("MaxPool", since=12)
def _pick(node: ir.Node, _constant: ConstantAt) -> Kernel | str:
    if node.op_type == "MaxPool" and len(node.outputs) > 1:
        return "it also gives the places of its largest values"
    return Kernel("move")


@KERNELS("Resize", since=11)
def _resize(node: ir.Node, _constant: ConstantAt) -> Kernel | str:
    if node.attributes.get_string("mode", "nearest") != "nearest":
        return _NO_KERNEL.format("a Resize that interpolates")
    return Kernel("move")


@KERNELS("Pad", since=13)
def _pad(node: ir.Node, _constant: ConstantAt) -> Kernel | str:
    value = _given(node, 2)
    tensor = stored_tensor(value)
    if value is not None and (tensor is None or tensor.numpy().any()):
        return "it pads with something else than a constant 0"
    return Kernel("move", fill=2)


def _given(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None
