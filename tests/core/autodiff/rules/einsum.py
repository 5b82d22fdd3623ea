from __future__ import annotations

import torch

from onnxpress.data.batch import Array
from tests.core.autodiff.cases import case, normal


def einsum(equation: str, *inputs: Array, sizes: str = "") -> None:
    """Register a case; `sizes` tells it from others of the same equation."""
    case(
        "Einsum", *inputs, equation=equation, note=f"{equation} {sizes}".strip(),
        torch=lambda *xs: torch.einsum(equation, *xs),
    )  # fmt: skip


einsum("ij,jk->ik", normal(2, 3), normal(3, 4))
einsum("ij,jk", normal(2, 3), normal(3, 4))
einsum("ba,cb", normal(2, 3), normal(4, 2))
einsum("bhqd,bhkd->bhqk", normal(2, 2, 3, 4), normal(2, 2, 5, 4))
einsum("bhwc,hkc->bhwk", normal(1, 2, 3, 4), normal(2, 5, 4))
einsum("abc,cd,bd->ad", normal(2, 3, 4), normal(4, 5), normal(3, 5))
einsum("i,j,k,l->ljki", normal(2), normal(3), normal(2), normal(3))
einsum("ij->ji", normal(2, 3))
einsum("ij->ij", normal(2, 3))
einsum("ij->j", normal(2, 3))
einsum("ij->", normal(2, 3))
einsum("ijk,k->k", normal(2, 3, 2), normal(2))
einsum("ij,kl->", normal(2, 3), normal(2, 2))
einsum("bi,bj->b", normal(2, 3), normal(2, 4))
einsum("ij,->ij", normal(2, 3), normal())
einsum("ii->i", normal(3, 3))
einsum("ii->", normal(3, 3))
einsum("iji->ji", normal(3, 2, 3))
einsum("iii->i", normal(3, 3, 3))
einsum("iijkj->k", normal(2, 2, 3, 2, 3))
einsum("ij,jj->i", normal(2, 3), normal(3, 3))
einsum("aab,bbc->ac", normal(2, 2, 3), normal(3, 3, 2))
einsum("...ij,...jk->...ik", normal(2, 2, 3, 2), normal(2, 2, 2, 3))
einsum("...ij,...jk->...ik", normal(1, 3, 2), normal(2, 2, 3), sizes="repeated")
einsum("...i,...i->...", normal(2, 1, 3), normal(1, 2, 3))
einsum("b...a", normal(2, 2, 3))
einsum("...ii->...i", normal(2, 3, 3))
einsum("a...,...b->a...b", normal(2, 4), normal(4, 3))
einsum("Ij,jK->KI", normal(2, 3), normal(3, 4))
case(
    "Einsum", normal(2, 1), normal(3, 4), equation="ij,jk->ik", note="size 1 repeated",
    torch=lambda a, b: torch.einsum("ij,jk->ik", a.expand(2, 3), b),
)  # fmt: skip
case(
    "Einsum", normal(2, 3), normal(3, 4), equation=" i j , j k -> i k ", note="spaces",
    torch=torch.matmul,
)  # fmt: skip
