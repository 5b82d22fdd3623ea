from __future__ import annotations

import torch

from tests.core.autodiff.cases import case, normal, positive

for op, function in {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div}.items():
    case(op, normal(2, 3, 4), positive(2, 3, 4), torch=function)
    case(op, normal(2, 3, 4), positive(3, 1), torch=function, note="broadcast")
    case(op, normal(1, 4), positive(2, 1, 1), torch=function, note="both ways")
    case(op, normal(2, 3), positive(), torch=function, note="scalar")
case("Sum", normal(2, 3), normal(3), normal(2, 1), torch=lambda a, b, c: a + b + c)
case("Neg", normal(2, 3), torch=torch.neg)
case("Identity", normal(2, 3), torch=lambda x: x)
