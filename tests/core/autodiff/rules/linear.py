from __future__ import annotations

from itertools import product

import torch

from tests.core.autodiff.cases import case, normal

for a, b in product((0, 1), (0, 1)):
    case(
        "Gemm", normal(4, 3) if a else normal(3, 4), normal(5, 4) if b else normal(4, 5), normal(5),
        transA=a, transB=b, alpha=1.5, beta=0.5, note=f"transA={a} transB={b}",
        torch=lambda x, w, c, a=a, b=b: 1.5 * (x.T if a else x) @ (w.T if b else w) + 0.5 * c,
    )  # fmt: skip
case("Gemm", normal(3, 4), normal(4, 5), torch=torch.mm, note="no C")
case(
    "Gemm",
    normal(3, 4),
    normal(4, 5),
    None,
    alpha=0.5,
    torch=lambda a, b, _: 0.5 * a @ b,
    note="C left out",
)
for shape in [(), (1,), (5,), (1, 5), (3, 1), (1, 1), (3, 5)]:
    case(
        "Gemm", normal(3, 4), normal(4, 5), normal(*shape), beta=2.0, note=f"C {shape}",
        torch=lambda a, b, c: a @ b + 2 * c,
    )  # fmt: skip
case("Gemm", normal(1, 4), normal(4, 1), normal(1), torch=lambda a, b, c: a @ b + c, note="1 x 1")

for left, right in [
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((4,), (2, 4, 5)),
    ((4,), (2, 3, 4, 5)),
    ((3, 4), (4,)),
    ((2, 3, 4), (4,)),
    ((2, 2, 3, 4), (4,)),
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4, 5)),
    ((2, 2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((1, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (1, 4, 5)),
    ((2, 1, 3, 4), (3, 4, 5)),
    ((3, 1, 3, 4), (1, 2, 4, 5)),
    ((1, 4), (4, 1)),
]:
    case("MatMul", normal(*left), normal(*right), torch=torch.matmul, note=f"{left} x {right}")
