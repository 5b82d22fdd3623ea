from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from tests.core.autodiff.cases import case, normal, spread

# Both sides of every bend, none nearer to it than the step of the differences.
x = spread(3, 4, gap=0.77) + 0.1
wide = normal(3, 4) * 30

case("Relu", x, torch=functional.relu)
case("LeakyRelu", x, torch=functional.leaky_relu)
case(
    "LeakyRelu",
    x,
    alpha=-0.3,
    torch=lambda x: functional.leaky_relu(x, -0.3),
    note="negative alpha",
)
case("PRelu", x, normal(3, 4) + 3, torch=lambda x, s: torch.where(x > 0, x, s * x))
case("PRelu", x, normal(3, 1), torch=lambda x, s: torch.where(x > 0, x, s * x), note="by row")
case("PRelu", x, normal(1), torch=functional.prelu, note="one slope")
case("PRelu", spread(2, 3, 2), normal(3, 1), torch=lambda x, s: functional.prelu(x, s[:, 0]),
     note="by channel")  # fmt: skip
case("ThresholdedRelu", x, torch=lambda x: functional.threshold(x, 1.0, 0.0))
case("ThresholdedRelu", x, alpha=-0.4, torch=lambda x: torch.where(x > -0.4, x, 0),
     note="alpha")  # fmt: skip
case("Shrink", x, torch=functional.hardshrink)
case("Shrink", x, lambd=1.2, bias=0.3, note="bias",
     torch=lambda x: torch.where(x > 1.2, x - 0.3, torch.where(x < -1.2, x + 0.3, 0)))  # fmt: skip
case("Elu", x, torch=functional.elu)
case("Elu", x, alpha=1.7, torch=lambda x: functional.elu(x, 1.7), note="alpha")
case("Elu", wide, torch=functional.elu, note="far out")
case("Selu", x, torch=functional.selu)
case(
    "Selu", x, alpha=1.2, gamma=1.5, torch=lambda x: 1.5 * functional.elu(x, 1.2), note="attributes"
)
case("Celu", x, torch=functional.celu)
case("Celu", x, alpha=0.6, torch=lambda x: functional.celu(x, 0.6), note="alpha")
case("HardSigmoid", x * 2, torch=lambda x: (0.2 * x + 0.5).clip(0, 1))
case(
    "HardSigmoid", x * 2, alpha=1 / 6, beta=0.5, torch=functional.hardsigmoid, note="as in PyTorch"
)
case("HardSwish", x * 2, torch=functional.hardswish)
case("Swish", x, opset=24, torch=functional.silu)
case("Swish", x, alpha=1.7, opset=24, torch=lambda x: x * torch.sigmoid(1.7 * x), note="alpha")
case("Mish", x, torch=functional.mish)
case("Mish", wide, torch=functional.mish, note="far out")
case("Gelu", x, torch=functional.gelu)
case(
    "Gelu",
    x,
    approximate="tanh",
    torch=lambda x: functional.gelu(x, approximate="tanh"),
    note="tanh",
)
case("Softplus", x, torch=functional.softplus)
case("Softplus", wide, torch=lambda x: torch.logaddexp(x, torch.zeros(())), note="far out")
case("Softsign", x, torch=functional.softsign)

# At a bend PyTorch's choice is ours; differences see the mean of both sides, so they are not asked.
for op, function in {
    "Relu": functional.relu,
    "LeakyRelu": functional.leaky_relu,
    "Elu": functional.elu,
}.items():
    case(op, np.zeros(3), torch=function, differences=False, smooth=False, note="at zero")
case("PRelu", np.zeros(3), normal(1), torch=functional.prelu, differences=False, smooth=False,
     note="at zero")  # fmt: skip
