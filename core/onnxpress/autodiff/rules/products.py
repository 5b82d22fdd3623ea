"""Products: nothing is divided, so zeros do no harm, nor do they to any further derivative.

Both rules take memory for the square of the number of elements that are multiplied. There are
never many: long products leave the range of floats.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError


def others(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return, for every element, the product of the others along `axes`, in the shape of `x`.

    Args:
        x: The elements; the number of its axes is known.
        axes: Which axes a product goes over, none negative.
    """
    if not axes:
        return x.op.filled(x, 1)
    moved, back = _moved(x, axes)
    rows = moved.op("Flatten", moved, axis=len(back) - len(axes))
    products = x.op("ReduceProd", _without_each(rows), x.op.ints(2), keepdims=0)
    return products.reshape_like(moved).transpose(*back)


@GRADIENTS("CumProd", since=26)
def _cum_prod(at: Site) -> Tensor:
    """``dx[i] = Σ_k dy[k] · dy[k]/dx[i]``, where the last is `CumProd` with element ``i`` as 1.

    It is 0 for the ``k`` whose product does not reach to ``i``.
    """
    op, x, given = at.op, at.input(0), at.constant(1)
    if x.rank is None or given is None:
        raise ModelError(
            f"the gradient of CumProd at {at.node.name!r} needs a constant axis and the number of "
            f"axes of {x.name!r}; store the axis in the model and give the shapes of all inputs"
        )
    axis = int(given.reshape(-1)[0]) % x.rank
    moved, back = _moved(x, [axis])
    rows = op("Flatten", moved, axis=x.rank - 1)
    exclusive, reverse = at.integer("exclusive"), at.integer("reverse")
    products = op(
        "CumProd", _without_each(rows), op.scalar(2), exclusive=exclusive, reverse=reverse
    )
    slopes = products * _reached(rows, exclusive=exclusive, reverse=reverse)
    arriving = op("Flatten", at.gradient.transpose(*_order(x, [axis])), axis=x.rank - 1)
    dx = (slopes * arriving.unsqueeze(1)).sum((2,), keepdims=False)
    return dx.reshape_like(moved).transpose(*back)


def _order(x: Tensor, axes: Sequence[int]) -> list[int]:
    return [*(axis for axis in range(x.rank or 0) if axis not in axes), *axes]


def _moved(x: Tensor, axes: Sequence[int]) -> tuple[Tensor, list[int]]:
    """Move axes to the end; return as well how to move them back."""
    order = _order(x, axes)
    return x.transpose(*order), [order.index(axis) for axis in range(len(order))]


def _without_each(rows: Tensor) -> Tensor:
    """Return ``y[r, i, j] = x[r, j]``, but 1 where ``i = j``."""
    one = rows.op("EyeLike", _square(rows), dtype=1).cast(rows.dtype)
    return rows.unsqueeze(1) * (1 - one) + one


def _reached(rows: Tensor, *, exclusive: int, reverse: int) -> Tensor:
    """Return 1 at ``[i, k]`` where result ``k`` of a cumulative product has element ``i``."""
    op = rows.op
    distance = op.scalar(-exclusive if reverse else exclusive)
    return op("Trilu", 1 + _square(rows), distance, upper=1 - reverse).cast(rows.dtype)


def _square(rows: Tensor) -> Tensor:
    """Return zeros, one row and one column for each column."""
    size = rows.op.typed(rows.size(1).value, None, (1,))
    return rows.op("ConstantOfShape", rows.op.concat([size, size]))
