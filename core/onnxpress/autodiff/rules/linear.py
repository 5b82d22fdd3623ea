"""Matrix products."""

from __future__ import annotations

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("Gemm")
def _gemm(at: Site) -> Gradients:
    """``y = alpha · A' · B' + beta · C``, where a prime may transpose."""
    op, dy, alpha = at.op, at.gradient, at.number("alpha", 1.0)
    a, b = at.input(0), at.input(1)
    ta, tb = at.integer("transA"), at.integer("transB")
    da: Tensor | None = None
    db: Tensor | None = None
    if at.needs(0):
        left = (b, dy, tb, 1) if ta else (dy, b, 0, 1 - tb)
        da = op("Gemm", left[0], left[1], alpha=alpha, transA=left[2], transB=left[3])
    if at.needs(1):
        right = (dy, a, 1, ta) if tb else (a, dy, 1 - ta, 0)
        db = op("Gemm", right[0], right[1], alpha=alpha, transA=right[2], transB=right[3])
    beta = at.number("beta", 1.0)
    dc = at.unbroadcast(dy if beta == 1 else dy * beta, 2) if at.needs(2) else None
    return da, db, dc
