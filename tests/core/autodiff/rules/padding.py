from __future__ import annotations

import numpy as np
import torch.nn.functional as f

from tests.core.autodiff.cases import case, normal

X = normal(2, 3, 4)
PADS = np.array([0, 1, 2, 0, 0, 1])

for stored in ((1,), ()):
    note = "" if stored else ", fed"
    case(
        "Pad", X, PADS, stored=stored, note=f"constant{note}",
        torch=lambda x, _p: f.pad(x, (2, 1, 1, 0)),
    )  # fmt: skip
    for mode, name in {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}.items():
        case(
            "Pad", X, PADS, stored=stored, mode=mode, note=f"{mode}{note}",
            torch=lambda x, _p, name=name: f.pad(x[None], (2, 1, 1, 0), name)[0],
        )  # fmt: skip
        case(
            "Pad", X, np.array([0, 1, 2, 2, 0, -1]) if mode == "edge" else np.array([-1, 2]),
            *(() if mode == "edge" else (None, np.array([-1]))),
            stored=(1, 3) if stored and mode != "edge" else stored, mode=mode,
            note=f"{mode}, negative{note}",
        )  # fmt: skip
    case("Pad", X, np.array([0, -1, 2, 1, -1, -2]), stored=stored, note=f"negative{note}")
case(
    "Pad", X, np.array([2, 1, 1, 2]), np.array(0.5), np.array([-1, 1]), stored=(1, 3),
    note="axes, value", torch=lambda x, _p, v, _a: v + f.pad(x - v, (2, 1, 1, 2)),
)  # fmt: skip
case(
    "Pad", X, np.array([2, 3]), None, np.array([2]), mode="reflect", note="reflect, axes",
    torch=lambda x, *_: f.pad(x, (2, 3), "reflect"),
)  # fmt: skip
case("Pad", X, np.array([5, 9]), None, np.array([2]), mode="wrap", note="wrapped round twice")
case("Pad", X, np.array([3, 2]), None, np.array([-2]), mode="edge", note="edge, axes")
