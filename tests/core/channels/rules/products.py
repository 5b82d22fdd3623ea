from __future__ import annotations

from typing import Final

from tests.core.channels.cases import case, normal

EQUATIONS: Final[list[tuple[str, list[tuple[int, ...]], str]]] = [
    ("ij,jk->ik", [(3, 4), (4, 5)], "x0.0 x0.1 x1.0 x1.1 y0.0 y0.1"),
    ("ij,jk", [(3, 4), (4, 5)], "x0.0 x0.1 x1.0 x1.1 y0.0 y0.1"),
    ("ij->ji", [(3, 4)], "x0.0 x0.1 y0.0 y0.1"),
    ("ij->i", [(3, 4)], "x0.0 x0.1 y0.0"),
    (" n h i d , n h j d -> n h i j ", [(2, 6, 3, 4), (2, 6, 5, 4)],
     "x0.0 x0.1 x0.2 x0.3 x1.0 x1.1 x1.2 x1.3 y0.0 y0.1 y0.2 y0.3"),
    ("i,j,k->kji", [(3,), (4,), (5,)], "x0.0 x1.0 x2.0 y0.0 y0.1 y0.2"),
    ("i,i->", [(4,), (4,)], "x0.0 x1.0"),
    ("ii->i", [(4, 4)], ""),
    ("...ij,jk->...ik", [(2, 3, 4), (4, 5)], ""),
]  # fmt: skip
for equation, shapes, free in EQUATIONS:
    case("Einsum", *(normal(*s) for s in shapes), equation=equation, note=equation, free=free)
case("Einsum", normal(2, 6, 3, 4), normal(2, 6, 5, 4), equation="bhid,bhjd->bhij", note="open",
     free="x0.0 x0.1 x0.2 x0.3 x1.0 x1.1 x1.2 x1.3 y0.0 y0.1 y0.2 y0.3", sizes=[2, 3, 4, 5, 6],
     dynamic={0: {0: "B", 2: "I"}, 1: {0: "B", 2: "J"}})  # fmt: skip
