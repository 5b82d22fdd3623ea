"""Products of all elements but one, the gradient of a product."""

from __future__ import annotations

from collections.abc import Sequence

from onnxpress.autodiff.tensor import Tensor


def others(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return, for every element, the product of the others along `axes`, in the shape of `x`.

    Nothing is divided, so zeros do no harm, nor do they to any further derivative.  It takes
    memory for the square of the number of elements that are multiplied; there are never many,
    since long products leave the range of floats.

    Args:
        x: The elements; the number of its axes is known.
        axes: Which axes a product goes over, none negative.
    """
    if not axes:
        return x.op.filled(x, 1)
    rank = x.rank
    assert rank is not None
    kept = [axis for axis in range(rank) if axis not in axes]
    order = [*kept, *axes]
    moved = x.transpose(*order)
    rows = moved.op("Flatten", moved, axis=len(kept))
    products = _others(rows)
    back = [order.index(axis) for axis in range(rank)]
    return products.reshape_like(moved).transpose(*back)


def _others(rows: Tensor) -> Tensor:
    """``y[r, i] = Π_{j≠i} x[r, j]``: in row ``i`` of a square, element ``i`` becomes 1."""
    op = rows.op
    size = op.typed(rows.size(1).value, None, (1,))
    one = op("EyeLike", op("ConstantOfShape", op.concat([size, size])), dtype=1).cast(rows.dtype)
    return op("ReduceProd", rows.unsqueeze(1) * (1 - one) + one, op.ints(2), keepdims=0)
