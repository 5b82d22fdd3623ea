from __future__ import annotations

import torch

from tests.core.autodiff.cases import case, normal, positive, spread

case("Exp", normal(2, 3), torch=torch.exp)
case("Log", positive(2, 3), torch=torch.log)
case("Sqrt", positive(2, 3), torch=torch.sqrt)
case("Reciprocal", positive(2, 3), torch=torch.reciprocal)
case("Sigmoid", normal(2, 3), torch=torch.sigmoid)
case("Tanh", normal(2, 3), torch=torch.tanh)
case("Relu", spread(2, 3), torch=torch.relu)
case("Erf", normal(2, 3), torch=torch.erf)
