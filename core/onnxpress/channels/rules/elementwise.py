"""Channel flow through operators that look at every element alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from onnxpress.channels.site import Site


@CHANNEL_FLOW("Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift", "Div", "Equal")
@CHANNEL_FLOW("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod")
@CHANNEL_FLOW("Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor")
def _broadcasting(at: Site) -> None:
    at.elementwise(at.inputs, at.output())


@CHANNEL_FLOW("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast")
@CHANNEL_FLOW("Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu")
@CHANNEL_FLOW("HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log")
@CHANNEL_FLOW("Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid")
@CHANNEL_FLOW("Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh")
@CHANNEL_FLOW("ThresholdedRelu")
@CHANNEL_FLOW("Clip", "CastLike")  # their other inputs are no tensors of that shape
def _alone(at: Site) -> None:
    at.elementwise([at.input(0)], at.output())


@CHANNEL_FLOW("Dropout")
def _dropout(at: Site) -> None:
    at.elementwise([at.input(0)], at.output(0))
    at.elementwise([at.input(0)], at.output(1))
