from __future__ import annotations

import numpy as np
import torch

from tests.core.autodiff.cases import case, normal, spread

a, b = spread(2, 3, 4), spread(3, 1, gap=0.3) + 0.02
for op, function in {"Max": torch.maximum, "Min": torch.minimum}.items():
    case(op, a, spread(2, 3, 4, seed=1) + 0.05, torch=function)
    case(op, a, b, torch=function, note="broadcast")
    case(op, a, np.array(0.0), wrt=[0], stored=[1], torch=function, note="a constant")
    case(op, a, torch=lambda x: x, note="of one")
    case(op, a, b, normal(1, 1, 1), note="of three",
         torch=lambda x, y, z, f=function: f(f(x, y), z))  # fmt: skip
    tied = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), np.array([2.0, 2.0, 2.0])
    # Differences of elements that are equal give the mean, and so does the rule.
    case(op, *tied, smooth=False, torch=function, note="ties")

condition = normal(2, 3, 4) > 0
case("Where", condition, normal(2, 3, 4), normal(2, 3, 4, seed=1), torch=torch.where)
case("Where", condition, normal(4), normal(2, 1, 1), torch=torch.where, note="broadcast")
case("Where", condition[0], normal(2, 3, 4), normal(), torch=torch.where, note="wider than c")
case("Where", condition, normal(), normal(), torch=torch.where, note="scalars")
case("Where", condition, normal(2, 3, 4), normal(), stored=(), torch=torch.where, note="c fed")

low, high = np.array(-0.47), np.array(0.63)
case("Clip", a, low, high, torch=torch.clip)
case("Clip", a, low, high, wrt=[0], stored=[1, 2], torch=torch.clip, note="constants")
case("Clip", a, low, torch=torch.clip, note="low only")
case("Clip", a, None, high, torch=lambda x, _, h: torch.clip(x, max=h), note="high only")
case("Clip", a, torch=lambda x: x, note="no bounds")
case("Clip", a, high, low, torch=torch.clip, note="low above high")
case("Clip", np.array([-1.0, 0, 0.5, 1, 2]), np.array(0.0), np.array(1.0), wrt=[0],
     differences=False, smooth=False, torch=torch.clip, note="at the bounds")  # fmt: skip
