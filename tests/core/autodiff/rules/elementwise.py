from __future__ import annotations

import numpy as np
import torch

from tests.core.autodiff.cases import case, normal, positive, spread

inner = np.tanh(normal(2, 3)) * 0.8

case("Identity", normal(2, 3), torch=lambda x: x)
case("Neg", normal(2, 3), torch=torch.neg)
case("Abs", spread(2, 3), torch=torch.abs)
case("Exp", normal(2, 3), torch=torch.exp)
case("Log", positive(2, 3), torch=torch.log)
case("Sqrt", positive(2, 3), torch=torch.sqrt)
case("Reciprocal", positive(2, 3), torch=torch.reciprocal)
case("Erf", normal(2, 3), torch=torch.erf)
case("Sin", normal(2, 3), torch=torch.sin)
case("Cos", normal(2, 3), torch=torch.cos)
case("Tan", inner, torch=torch.tan)
case("Asin", inner, torch=torch.asin)
case("Acos", inner, torch=torch.acos)
case("Atan", normal(2, 3), torch=torch.atan)
case("Sinh", normal(2, 3), torch=torch.sinh)
case("Cosh", normal(2, 3), torch=torch.cosh)
case("Tanh", normal(2, 3), torch=torch.tanh)
case("Asinh", normal(2, 3), torch=torch.asinh)
case("Acosh", positive(2, 3) + 1, torch=torch.acosh)
case("Atanh", inner, torch=torch.atanh)
case("Sigmoid", normal(2, 3), torch=torch.sigmoid)
case("Sigmoid", np.array([-100, 0.3, 100]), torch=torch.sigmoid, note="far out")
case("Exp", normal(), torch=torch.exp, note="no axes")
case("Cast", normal(2, 3), to=1, torch=lambda x: x)
case("CastLike", normal(2, 3), normal(1), wrt=[0], torch=lambda x, _: x)
