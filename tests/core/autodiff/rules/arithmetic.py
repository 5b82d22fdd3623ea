from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import torch

from tests.core.autodiff.cases import case, normal, positive, spread

for op, function in {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": torch.div,
}.items():
    case(op, normal(2, 3, 4), positive(2, 3, 4), torch=function)
    case(op, normal(2, 3, 4), positive(3, 1), torch=function, note="broadcast")
    case(op, normal(1, 4), positive(2, 1, 1), torch=function, note="both ways")
    case(op, normal(2, 3), positive(), torch=function, note="scalar")
case("Sum", normal(2, 3), normal(3), normal(2, 1), torch=lambda a, b, c: a + b + c)
case("Sum", normal(2, 3), torch=lambda a: a, note="of one")
case("Mean", normal(2, 3), normal(3), normal(2, 1), torch=lambda a, b, c: (a + b + c) / 3)
case("Mean", normal(2, 3), torch=lambda a: a, note="of one")

case("Mod", np.array([[7.3, 5.1, 2.2], [9.4, 3.6, 0.7]]), np.array([2.1, 1.5, 1.3]), fmod=1,
     torch=torch.fmod)  # fmt: skip
case("Mod", np.array([[7.3, -7.3], [-0.4, 5.7]]), np.array([2.0, -3.1]), fmod=1,
     torch=torch.fmod, note="signs")  # fmt: skip

case("Pow", positive(2, 3), normal(2, 3), torch=torch.pow)
case("Pow", positive(2, 3), normal(3), torch=torch.pow, note="broadcast")
case("Pow", positive(), normal(2, 3), torch=torch.pow, note="scalar base")
case("Pow", spread(2, 3), np.array([2, 3, 1]), torch=torch.pow, note="integer exponents")
case("Pow", spread(2, 3, gap=0.5), np.array([-1, 0, -2]), torch=torch.pow,
     note="integer exponents below 1")  # fmt: skip
for exponent in (2.0, 1.0, 0.5, -1.0, 3.0, 2.5, -0.5):
    base = positive(2, 3) if exponent % 1 or exponent < 0 else spread(2, 3)
    case("Pow", base, np.array(exponent), wrt=[0], stored=[1], torch=torch.pow,
         note=f"to the {exponent}")  # fmt: skip
case("Pow", spread(2, 3), np.array(0.0), wrt=[0], stored=[1], smooth=False, torch=torch.pow,
     note="to the 0.0")  # fmt: skip
case("Pow", positive(3), np.array([[2.0]]), wrt=[0], stored=[1], torch=torch.pow,
     note="exponent of more axes")  # fmt: skip
# At 0 the slopes are those of PyTorch; second derivatives do not exist there.
case("Pow", np.zeros(4), np.array([1, 2, 3, 0]), differences=False, smooth=False,
     torch=torch.pow, note="zero base")  # fmt: skip
case("Pow", np.zeros(3), np.array([1.0, 2.0, 1.5]), differences=False, smooth=False,
     torch=torch.pow, note="zero base, exponents fed")  # fmt: skip
case("Pow", np.array([0.0, 1.0]), np.array(2.0), wrt=[0], stored=[1], torch=torch.pow,
     note="zero base, constant")  # fmt: skip

for exclusive, reverse in product((0, 1), (0, 1)):
    mode = partial(case, "CumSum", exclusive=exclusive, reverse=reverse)
    note = f"exclusive={exclusive} reverse={reverse}"
    for axis in (1, -3):
        mode(normal(2, 3, 4), np.array(axis), note=f"{note} axis={axis}")
    mode(normal(2, 3), np.array(0, np.int32), stored=(), note=f"{note} computed axis")
case("CumSum", normal(2, 3), np.array(1), torch=lambda x, _: x.cumsum(1))
