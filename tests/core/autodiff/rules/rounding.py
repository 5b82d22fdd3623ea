from __future__ import annotations

import torch

from tests.core.autodiff.cases import case, spread

# Halfway between whole numbers, and never near one.
# The gradient depends on nothing, so that there is no second one to check.
x = spread(2, 3, gap=1.0) + 0.2
case("Sign", x, smooth=False, torch=torch.sign)
case("Floor", x, smooth=False, torch=torch.floor)
case("Ceil", x, smooth=False, torch=torch.ceil)
case("Round", x, smooth=False, torch=torch.round)
