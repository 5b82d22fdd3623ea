from __future__ import annotations

from tests.core.autodiff.cases import case, normal
from tests.core.autodiff.recurrent import by_torch, inputs

for way, first, of in (
    ("forward", False, 0),
    ("forward", True, 1),
    ("reverse", True, 0),
    ("bidirectional", True, 0),
    ("bidirectional", False, 1),
):
    case(
        "RNN", *inputs(1, way, first=first),
        hidden_size=2, direction=way, outputs=2, of=of, step=2e-3,
        note=f"{way}, output {of}", torch=by_torch("RNN", way, of),
    )  # fmt: skip
