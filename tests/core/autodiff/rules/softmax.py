from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from tests.core.autodiff.cases import case, normal, spread

for axis in (-1, 1, 0):
    soft = {"axis": axis, "note": f"axis={axis}"}
    case("Softmax", normal(2, 3, 4), torch=lambda x, a=axis: x.softmax(a), **soft)
    case("LogSoftmax", normal(2, 3, 4), torch=lambda x, a=axis: x.log_softmax(a), **soft)
case("Softmax", normal(2, 3, 4), torch=lambda x: x.softmax(-1))
case("LogSoftmax", normal(2, 3, 4) * 40, torch=lambda x: x.log_softmax(-1), note="far out")
case("Softmax", np.array([[1.0, -np.inf, 2.0]]), torch=lambda x: x.softmax(-1),
     differences=False, smooth=False, note="masked")  # fmt: skip
case("Hardmax", spread(2, 3), smooth=False, torch=lambda x: x * 0)
for p, axis in ((1, -1), (2, -1), (2, 1), (1, 0)):
    case("LpNormalization", spread(2, 3, 4), p=p, axis=axis, note=f"p={p} axis={axis}",
         torch=lambda x, p=p, axis=axis: functional.normalize(x, p, axis))  # fmt: skip
case("LpNormalization", np.array([[0.0, 0.0], [3.0, 4.0]]), differences=False, smooth=False,
     note="zero vector",
     torch=lambda x: torch.cat([x[:1] * 0, functional.normalize(x[1:], 2, -1)]))  # fmt: skip
