from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch

from tests.core.autodiff.cases import case, normal

zeros = np.array([[2.0, 3.0, 0.0, 5.0], [0.0, 2.0, 0.0, 3.0], [1.0, 3.0, 0.5, 1.0]])


def cum_prod(x: Any, axis: int, exclusive: int, reverse: int) -> Any:
    x = x.flip(axis) if reverse else x
    if exclusive:
        ones = torch.ones_like(x.narrow(axis, 0, 1))
        x = torch.cat([ones, x.narrow(axis, 0, x.shape[axis] - 1)], axis)
    y = x.cumprod(axis)
    return y.flip(axis) if reverse else y


for exclusive, reverse in product((0, 1), (0, 1)):
    for x, axis in ((normal(2, 3, 4), 1), (normal(2, 3, 4), -1), (zeros, 1), (normal(3), 0)):
        what = "zeros" if x is zeros else f"{x.ndim} axes"
        case("CumProd", x, np.array(axis), exclusive=exclusive, reverse=reverse, opset=26,
             note=f"{what} axis={axis} exclusive={exclusive} reverse={reverse}",
             torch=lambda x, _, a=axis, e=exclusive, r=reverse: cum_prod(x, a, e, r))  # fmt: skip
