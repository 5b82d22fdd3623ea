from __future__ import annotations

import numpy as np

from tests.core.autodiff.cases import case
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
        "RNN", *inputs("RNN", way, first=first, bias=bias),
        hidden_size=2, direction=way, outputs=2, of=of,
        note=f"{way}, output {of}{', states' if first else ''}{', bias' if bias else ''}",
        torch=by_torch("RNN", way, of),
    )  # fmt: skip
# What is not smooth has kinks, too near for the differences of second derivatives.
X, W, R, B, _, H = inputs("RNN", "bidirectional")
case(
    "RNN", X, W, R, B, None, H, hidden_size=2, direction="bidirectional",
    activations=["Relu", "Relu"], step=1e-3, smooth=False, note="Relu",
    torch=by_torch("RNN", "bidirectional", nonlinearity="relu"),
)  # fmt: skip
case(
    "RNN", X, W, R, B, None, H, hidden_size=2, direction="bidirectional",
    activations=["LeakyRelu", "Tanh"], activation_alpha=[0.3], step=1e-3, smooth=False,
    note="activations",
)  # fmt: skip
case(
    "RNN", X, W, R, B, np.array([4, 1, 3], np.int32), H, hidden_size=2, direction="bidirectional",
    note="lengths",
)  # fmt: skip
