from __future__ import annotations

from torch.nn import functional

from tests.core.autodiff.cases import case, normal

case("LRN", normal(2, 5, 2, 2), size=3, alpha=0.5, beta=0.75, bias=1.0,
     torch=lambda x: functional.local_response_norm(x, 3, 0.5, 0.75, 1.0))  # fmt: skip
case("LRN", normal(2, 3, 2, 2), size=5, alpha=0.9, beta=0.6, bias=2.0, note="all channels",
     torch=lambda x: functional.local_response_norm(x, 5, 0.9, 0.6, 2.0))  # fmt: skip
case("LRN", normal(1, 6, 2, 3), size=1, alpha=0.5, note="alone",
     torch=lambda x: functional.local_response_norm(x, 1, 0.5, 0.75, 1.0))  # fmt: skip
