from __future__ import annotations

from itertools import product

from tests.core.channels.cases import case, normal

for a, b in product((0, 1), (0, 1)):
    case(
        "Gemm", normal(4, 3) if a else normal(3, 4), normal(5, 4) if b else normal(4, 5),
        normal(5), transA=a, transB=b, alpha=1.5, beta=0.5, note=f"transA={a} transB={b}",
        free="x0.0 x0.1 x1.0 x1.1 x2.0 y0.0 y0.1", sizes=[3, 4, 5],
        dynamic={0: {1 if a else 0: "N"}},
    )  # fmt: skip
for shape, axes in {
    (): "", (1,): "", (5,): "x2.0", (1, 5): "x2.1", (3, 1): "x2.0", (1, 1): "", (3, 5): "x2.0 x2.1",
}.items():  # fmt: skip
    case("Gemm", normal(3, 4), normal(4, 5), normal(*shape), note=f"C {shape}",
         free=f"x0.0 x0.1 x1.0 x1.1 {axes} y0.0 y0.1", sizes=[3, 4, 5])  # fmt: skip
case("Gemm", normal(3, 4), normal(4, 5), note="no C", free="x0.0 x0.1 x1.0 x1.1 y0.0 y0.1")
case("Gemm", normal(3, 4), normal(4, 5), normal(5), note="stored", stored=[1, 2],
     free="x0.0 x0.1 x1.0 x1.1 x2.0 y0.0 y0.1", sizes=[3, 4, 5], dynamic={0: {0: "N"}})  # fmt: skip

for left, right, free in [
    ((4,), (4,), "x0.0 x1.0"),
    ((4,), (4, 5), "x0.0 x1.0 x1.1 y0.0"),
    ((4,), (2, 4, 5), "x0.0 x1.0 x1.1 x1.2 y0.0 y0.1"),
    ((3, 4), (4,), "x0.0 x0.1 x1.0 y0.0"),
    ((2, 3, 4), (4,), "x0.0 x0.1 x0.2 x1.0 y0.0 y0.1"),
    ((3, 4), (4, 5), "x0.0 x0.1 x1.0 x1.1 y0.0 y0.1"),
    ((2, 3, 4), (4, 5), "x0.0 x0.1 x0.2 x1.0 x1.1 y0.0 y0.1 y0.2"),
    ((3, 4), (2, 4, 5), "x0.0 x0.1 x1.0 x1.1 x1.2 y0.0 y0.1 y0.2"),
    ((2, 3, 4), (2, 4, 5), "x0.0 x0.1 x0.2 x1.0 x1.1 x1.2 y0.0 y0.1 y0.2"),
    ((1, 3, 4), (2, 4, 5), "x0.1 x0.2 x1.0 x1.1 x1.2 y0.0 y0.1 y0.2"),
    ((2, 1, 3, 4), (6, 4, 5), "x0.0 x0.2 x0.3 x1.0 x1.1 x1.2 y0.0 y0.1 y0.2 y0.3"),
    ((2, 1, 7, 3, 4), (6, 1, 4, 5), "x0.0 x0.2 x0.3 x0.4 x1.0 x1.2 x1.3 y0.0 y0.1 y0.2 y0.3 y0.4"),
]:
    case("MatMul", normal(*left), normal(*right), note=f"{left} x {right}", free=free)
case("MatMul", normal(2, 3, 4), normal(4, 5), note="stored", stored=[1], sizes=[2, 3, 4, 5],
     free="x0.0 x0.1 x0.2 x1.0 x1.1 y0.0 y0.1 y0.2", dynamic={0: {0: "N", 1: "T"}})  # fmt: skip
case("MatMul", normal(2, 6, 3, 4), normal(2, 6, 4, 5), note="open",
     free="x0.0 x0.1 x0.2 x0.3 x1.0 x1.1 x1.2 x1.3 y0.0 y0.1 y0.2 y0.3",
     dynamic={0: {0: "N", 2: "T"}, 1: {0: "N", 3: "S"}})  # fmt: skip
