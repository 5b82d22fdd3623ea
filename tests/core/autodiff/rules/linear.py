from __future__ import annotations

from itertools import product

from tests.core.autodiff.cases import case, normal

for a, b in product((0, 1), (0, 1)):
    case(
        "Gemm", normal(4, 3) if a else normal(3, 4), normal(5, 4) if b else normal(4, 5), normal(5),
        transA=a, transB=b, alpha=1.5, beta=0.5, note=f"transA={a} transB={b}",
        torch=lambda x, w, c, a=a, b=b: 1.5 * (x.T if a else x) @ (w.T if b else w) + 0.5 * c,
    )  # fmt: skip
