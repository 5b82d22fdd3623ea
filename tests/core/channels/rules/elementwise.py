from __future__ import annotations

from typing import Final

import numpy as np

from tests.core.channels.cases import case, normal, positive, whole

FLAGS: Final = normal(2, 3, 4) > 0
BATCH: Final = {0: {0: "N"}}

for op in ("Add", "Div", "Max", "Mean", "Min", "Mul", "Pow", "Sub", "Sum"):
    case(op, positive(2, 3, 4), positive(2, 3, 4, seed=1),
         free="x0.0 x0.1 x0.2 x1.0 x1.1 x1.2 y0.0 y0.1 y0.2", sizes=[2, 3, 4])  # fmt: skip
    case(op, positive(2, 3, 4), positive(3, 1, seed=1), note="broadcast",
         free="x0.0 x0.1 x0.2 x1.0 y0.0 y0.1 y0.2", sizes=[2, 3, 4], dynamic=BATCH)  # fmt: skip
    case(op, positive(4), positive(2, 3, 1), note="broadcast both",
         free="x0.0 x1.0 x1.1 y0.0 y0.1 y0.2", sizes=[2, 3, 4])  # fmt: skip
    case(op, positive(2, 3), positive(), note="scalar", free="x0.0 x0.1 y0.0 y0.1", dynamic=BATCH)
case("Max", positive(2, 3), positive(3), positive(2, 1), note="three",
     free="x0.0 x0.1 x1.0 x2.0 y0.0 y0.1", sizes=[2, 3])  # fmt: skip
case("Add", normal(3, 4), normal(4), note="stored vector", stored=[1],
     free="x0.0 x0.1 x1.0 y0.0 y0.1", sizes=[3, 4])  # fmt: skip
for op in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"):
    case(op, normal(2, 3), normal(3), free="x0.0 x0.1 x1.0 y0.0 y0.1", dynamic=BATCH)
for op in ("And", "Or", "Xor"):
    case(op, FLAGS[0], FLAGS[1, 0], free="x0.0 x0.1 x1.0 y0.0 y0.1", dynamic=BATCH)
for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
    case(op, np.arange(12).reshape(3, 4), np.arange(4) + 3, stored=[],
         free="x0.0 x0.1 x1.0 y0.0 y0.1")  # fmt: skip
case("BitShift", np.arange(12, dtype=np.uint32).reshape(3, 4), np.arange(4, dtype=np.uint32),
     stored=[], direction="LEFT", free="x0.0 x0.1 x1.0 y0.0 y0.1")  # fmt: skip
case("Mod", positive(3, 4), positive(4), fmod=1, free="x0.0 x0.1 x1.0 y0.0 y0.1")
case("PRelu", normal(2, 3, 4), positive(3, 1), free="x0.0 x0.1 x0.2 x1.0 y0.0 y0.1 y0.2",
     sizes=[2, 3, 4], dynamic=BATCH)  # fmt: skip
case("PRelu", normal(2, 3), positive(1), note="one slope", free="x0.0 x0.1 y0.0 y0.1")
case("Where", FLAGS, normal(2, 3, 1), normal(4),
     free="x0.0 x0.1 x0.2 x1.0 x1.1 x2.0 y0.0 y0.1 y0.2", sizes=[2, 3, 4])  # fmt: skip
case("Where", FLAGS[0, :, :1], normal(3, 4), normal(), note="scalar",
     free="x0.0 x1.0 x1.1 y0.0 y0.1", sizes=[3, 4])  # fmt: skip

ALONE: Final = [
    "Abs", "Asin", "Asinh", "Atan", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor",
    "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Neg",
    "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus",
    "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu", "Acos", "Acosh", "Atanh", "IsInf",
    "IsNaN",
]  # fmt: skip
for op in ALONE:
    case(op, positive(2, 3), free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 3], dynamic=BATCH)
case("Swish", normal(2, 3), opset=24, free="x0.0 x0.1 y0.0 y0.1")
case("Not", FLAGS[0], free="x0.0 x0.1 y0.0 y0.1")
case("BitwiseNot", np.arange(6).reshape(2, 3), stored=[], free="x0.0 x0.1 y0.0 y0.1")
case("Cast", normal(2, 3), to=10, free="x0.0 x0.1 y0.0 y0.1", dynamic=BATCH)
case("CastLike", normal(2, 3), whole(1, 2), free="x0.0 x0.1 y0.0 y0.1")
case("Clip", normal(2, 3), np.float32(-0.5), np.float32(0.5), stored=[1, 2],
     free="x0.0 x0.1 y0.0 y0.1", dynamic=BATCH)  # fmt: skip
case("Clip", normal(2, 3), None, np.float32(0.5), note="no lower bound",
     free="x0.0 x0.1 y0.0 y0.1")  # fmt: skip
case("Dropout", normal(2, 3), outputs=2, free="x0.0 x0.1 y0.0 y0.1 y1.0 y1.1")
case("Dropout", normal(2, 3), np.float32(0.5), note="one output", stored=[1],
     free="x0.0 x0.1 y0.0 y0.1")  # fmt: skip
