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
        "GRU", *inputs("GRU", way, first=first, bias=bias),
        hidden_size=2, direction=way, outputs=2, of=of, linear_before_reset=1,
        note=f"{way}, output {of}{', states' if first else ''}{', bias' if bias else ''}",
        torch=by_torch("GRU", way, of),
    )  # fmt: skip
for way, of in (("forward", 0), ("forward", 1), ("reverse", 0), ("bidirectional", 0)):
    case(
        "GRU", *inputs("GRU", way), hidden_size=2, direction=way, outputs=2, of=of,
        note=f"{way}, output {of}, reset early",
    )  # fmt: skip
X, W, R, B, _, H = inputs("GRU", "forward")
case("GRU", X, W, R, None, None, H, hidden_size=2, note="reset early, no bias")
LENGTHS = np.array([4, 1, 3], np.int32)
# What is not smooth has kinks, too near for the differences of second derivatives.
for late in (0, 1):
    more = {"hidden_size": 2, "linear_before_reset": late}
    kind = "reset late" if late else "reset early"
    for way in ("forward", "reverse"):
        case("GRU", X, W, R, B, LENGTHS, H, **more, direction=way, note=f"{way}, lengths, {kind}")
    case(
        "GRU", X, W, R, B, None, H, **more, clip=0.4, step=1e-3, smooth=False, note=f"clip, {kind}"
    )
    case(
        "GRU", X, W, R, None, None, H, **more, activations=["Softsign", "Sigmoid"],
        note=f"activations, {kind}",
    )  # fmt: skip
