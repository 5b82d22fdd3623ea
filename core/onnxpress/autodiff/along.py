"""A matrix applied along one axis: what many linear maps on signals and images are made of."""

from __future__ import annotations

from onnxpress.autodiff.sizes import product, size, sizes, to_shape
from onnxpress.autodiff.tensor import Tensor


def apply_along(x: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """Return, for (m, n) `matrix` and `x` of n elements along `axis`, m elements along it.

    The rank of `x` must be known.
    """
    rank = len(x.shape or ())
    axis %= rank
    if axis == rank - 1:
        return _typed(x @ matrix.transpose(1, 0), x, matrix, axis)
    if axis == rank - 2:
        return _typed(matrix @ x, x, matrix, axis)
    # One batch of matrices rather than a transposition there and back.
    op, around = x.op, (sizes(x, 0, axis), sizes(x, axis + 1))
    before, after = (product(op, part) for part in around)
    done = matrix @ to_shape(x, before, size(x, axis), after)
    return to_shape(done, *around[0], size(matrix, 0), *around[1])


def _typed(y: Tensor, x: Tensor, matrix: Tensor, axis: int) -> Tensor:
    assert x.shape is not None
    long = None if matrix.shape is None else matrix.shape[0]
    return x.op.typed(y.value, x.dtype, (*x.shape[:axis], long, *x.shape[axis + 1 :]))
