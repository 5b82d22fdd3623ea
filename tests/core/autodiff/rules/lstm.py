from __future__ import annotations

import numpy as np

from tests.core.autodiff.cases import case, normal
from tests.core.autodiff.recurrent import by_torch, inputs

for way, first, bias, of in (
    ("forward", True, True, 0),
    ("forward", False, False, 0),
    ("forward", True, True, 1),
    ("reverse", True, True, 0),
    ("reverse", False, True, 1),
    ("bidirectional", True, True, 0),
    ("bidirectional", False, False, 1),
):
    case(
        "LSTM", *inputs("LSTM", way, first=first, bias=bias),
        hidden_size=2, direction=way, outputs=2, of=of,
        note=f"{way}, output {of}{', states' if first else ''}{', bias' if bias else ''}",
        torch=by_torch("LSTM", way, of),
    )  # fmt: skip
for way in ("forward", "bidirectional"):
    case(
        "LSTM", *inputs("LSTM", way), hidden_size=2, direction=way, outputs=3, of=2,
        note=f"{way}, cells", torch=by_torch("LSTM", way, 2),
    )  # fmt: skip
# What PyTorch does not have.
X, W, R, B, _, H, C = inputs("LSTM", "forward")
P = normal(1, 6, seed=5) / 2
LENGTHS = np.array([4, 1, 3], np.int32)
for way in ("forward", "reverse"):
    case("LSTM", X, W, R, B, LENGTHS, H, C, hidden_size=2, direction=way, note=f"{way}, lengths")
    case(
        "LSTM", X, W, R, B, LENGTHS, H, C, hidden_size=2, direction=way, outputs=3, of=2,
        note=f"{way}, lengths, cells",
    )  # fmt: skip
case("LSTM", X, W, R, B, None, H, C, P, hidden_size=2, note="peepholes")
case("LSTM", X, W, R, None, None, H, C, P, hidden_size=2, input_forget=1, note="coupled gates")
# Clipping, Relu and LeakyRelu have kinks, too near for the differences of second derivatives.
case("LSTM", X, W, R, B, None, H, C, hidden_size=2, clip=0.4, step=1e-3, smooth=False, note="clip")
case(
    "LSTM", X, W, R, B, None, H, C, hidden_size=2, activations=["HardSigmoid", "Softsign", "Tanh"],
    activation_alpha=[0.3], activation_beta=[0.4], note="activations",
)  # fmt: skip
case(
    "LSTM", *inputs("LSTM", "bidirectional"), hidden_size=2, direction="bidirectional",
    activations=["Sigmoid", "Affine", "ScaledTanh", "Sigmoid", "Softplus", "Elu"],
    activation_alpha=[0.5, 0.7, 0.3], activation_beta=[0.1, 0.9], step=1e-3,
    note="activations by direction",
)  # fmt: skip
