"""Matrix products."""

from __future__ import annotations

from onnxpress.autodiff.broadcasting import sum_to
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError


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
        da = op.typed(da.value, a.dtype, a.shape)
    if at.needs(1):
        right = (dy, a, 1, ta) if tb else (a, dy, 1 - ta, 0)
        db = op("Gemm", right[0], right[1], alpha=alpha, transA=right[2], transB=right[3])
        db = op.typed(db.value, b.dtype, b.shape)
    beta = at.number("beta", 1.0)
    dc = at.unbroadcast(dy if beta == 1 else dy * beta, 2) if at.needs(2) else None
    return da, db, dc


@GRADIENTS("MatMul")
def _matmul(at: Site) -> Gradients:
    """``dA = dy · Bᵀ`` and ``dB = Aᵀ · dy``, summed over the batch axes that were repeated.

    A vector counts as a matrix of one row or one column, whose axis `y` lacks.

    ONNX Runtime fuses a Transpose with the product that it feeds.  That is as fast as a Gemm
    that transposes (measured on one thread, 32 to 4096 rows: within 5 % either way).
    """
    a, b, dy = at.input(0), at.input(1), at.gradient
    if b.rank != 2:  # noqa: PLR2004
        _check_ranks(at)
    row, column = a.rank == 1 and b.rank != 2, b.rank == 1  # noqa: PLR2004
    if column:
        b, dy = b.unsqueeze(1), dy.unsqueeze(-1)
    if row:
        a, dy = a.unsqueeze(0), dy.unsqueeze(-2)
    da: Tensor | None = None
    db: Tensor | None = None
    if at.needs(0):
        da = dy @ _transposed(b)
        da = da if b.rank == 2 else sum_to(da, a)  # noqa: PLR2004
    if at.needs(1):
        db = _of_matrix(a, b, dy) if b.rank == 2 else sum_to(_transposed(a) @ dy, b)  # noqa: PLR2004
    return (
        da.squeeze(0) if da is not None and row else da,
        db.squeeze(1) if db is not None and column else db,
    )


def _of_matrix(a: Tensor, b: Tensor, dy: Tensor) -> Tensor:
    """Return the gradient of a weight without batch axes: one product over all rows at once."""
    rows, slopes = _rows(a), _rows(dy)
    return a.op.typed(a.op("Gemm", rows, slopes, transA=1).value, b.dtype, b.shape)


def _rows(x: Tensor) -> Tensor:
    """Return the last axis of a tensor as rows of a matrix, whatever its rank."""
    return x if x.rank == 2 else x.op("Flatten", x, axis=-1)  # noqa: PLR2004


def _transposed(x: Tensor) -> Tensor:
    """Exchange the last two axes."""
    assert x.rank is not None  # checked before
    return x.transpose(*range(x.rank - 2), x.rank - 1, x.rank - 2)


def _check_ranks(at: Site) -> None:
    for index in (0, 1):
        if at.input(index).rank is None:
            raise ModelError(
                f"the gradient of MatMul at {at.node.name or at.output().name!r} depends on the "
                f"number of axes of {at.input(index).name!r}, which is unknown; give the inputs "
                "of the model shapes (symbols will do)"
            )
