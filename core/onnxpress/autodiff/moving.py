"""Adding up what goes to the same place: the reverse of taking elements by index.

``ScatterND`` with ``reduction="add"`` would say it shortest, but ONNX Runtime 1.32 runs it on
several threads without locks, and loses terms where an index occurs twice.  So:
``ScatterElements``, which runs on one thread, for few elements; for rows, a sort, so that equal
indices are neighbours, and the differences of a running sum (in double precision, so that
nothing is lost in them), 4 to 8 times as fast for rows of 64 and more.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import count, positions, vector
from onnxpress.autodiff.tensor import Tensor
from onnxpress.graph.constants import constant_tensor

_FEW: Final = 4096  # elements that are not worth a sort
_NARROW: Final = 8  # columns, likewise
_SMALL: Final = 64  # rows of a table for which a product with a 0/1 matrix is fastest
_HALVES: Final = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16})


def put_back(at: Site, places: Tensor) -> Tensor:
    """Return zeros in the shape of the first input, plus the gradient at `places`.

    Args:
        at: The node, whose output holds elements of its first input.
        places: Where each element of the output was in the input, as in `positions`.
    """
    op, x, dy = at.op, at.input(0), at.gradient
    zeros = op("ConstantOfShape", count(x), value=_zero(dy.dtype))
    zeros = op.typed(zeros.value, dy.dtype, (None,))
    flat = add_elements(zeros, places.reshape(-1), dy.reshape(-1), axis=0)
    result = op("Reshape", flat, x.sizes(), allowzero=1)
    return op.typed(result.value, dy.dtype, x.shape)


def places_by(at: Site, *inputs: Tensor | None) -> Tensor:
    """Return the places that a node which only moves elements takes them from: it moves those."""
    attributes: dict[str, Any] = dict(at.node.attributes)
    return at.op(at.node.op_type, positions(at.input(0)), *inputs, **attributes)


def add_elements(x: Tensor, places: Tensor, updates: Tensor, axis: int) -> Tensor:
    """Add `updates` to elements of `x`; ONNX Runtime can't in half precision, so not in it."""
    wide = ir.DataType.FLOAT if x.dtype in _HALVES else x.dtype
    added = x.op(
        "ScatterElements", x.cast(wide), places, updates.cast(wide), axis=axis, reduction="add"
    )
    return added.cast(x.dtype)


def sum_rows(rows: Tensor, ids: Tensor, number: int | Tensor) -> Tensor:
    """Return a table of `number` rows, the i-th of which is the sum of the `rows` whose id is i.

    Args:
        rows: Any number of rows, (K, columns).
        ids: The row of the table that each of them goes to, (K); may be negative.
        number: How many rows the table has.
    """
    op, columns = rows.op, None if rows.shape is None else rows.shape[1]
    distinct, ids = _distinct(ids, number), ids.cast(ir.DataType.INT64)
    if distinct:
        return op("ScatterND", _table(rows, ids, number), ids.unsqueeze(-1), rows)
    if isinstance(number, int) and number <= _SMALL:
        return one_hot(ids, number, rows.dtype) @ rows
    few = rows.fixed is not None and int(np.prod(rows.fixed)) <= _FEW
    if few or (isinstance(columns, int) and columns <= _NARROW):
        repeated = op("Expand", ids.unsqueeze(-1), rows.sizes())
        return add_elements(_table(rows, ids, number), repeated, rows, axis=0)
    return _sum_sorted(rows, from_front(ids, number), number)


def one_hot(ids: Tensor, number: int, dtype: ir.DataType | None) -> Tensor:
    """Return (number, K): 1 where an id is the row's number, 0 elsewhere."""
    op = ids.op
    values = op.constant(np.array([0, 1], np.float32))
    hot = op("OneHot", ids, op.scalar(number), values, axis=0)
    known = None if ids.shape is None else ids.shape[0]
    return op.typed(hot.value, ir.DataType.FLOAT, (number, known)).cast(dtype)


def from_front(ids: Tensor, number: int | Tensor) -> Tensor:
    """Return indices of which none is negative."""
    known = constant_tensor(ids.value)
    if known is not None and (known.numpy() >= 0).all():
        return ids
    return ids.op("Where", ids < 0, ids + number, ids)


def _table(rows: Tensor, ids: Tensor, number: int | Tensor) -> Tensor:
    """Return the table as it begins, with zeros.

    Its size is made to depend on what the ids are: ONNX Runtime would otherwise compute it
    when it loads the graph, and keep it beside the one that is filled.
    """
    op, columns = rows.op, None if rows.shape is None else rows.shape[1]
    sizes = vector(op, number, _columns(rows)) + ids.sum(keepdims=False) * 0
    zeros = op("ConstantOfShape", sizes, value=_zero(rows.dtype))
    return op.typed(zeros.value, rows.dtype, (_dim(number), columns))


def _sum_sorted(rows: Tensor, ids: Tensor, number: int | Tensor) -> Tensor:
    op, dtype = rows.op, rows.dtype
    in_order, order = op.many("TopK", 2, ids, op("Shape", ids), axis=0, largest=0)
    order = op.typed(order.value, ir.DataType.INT64, ids.shape)
    running = op("CumSum", op("Gather", rows, order).cast(ir.DataType.DOUBLE), op.scalar(0))
    following = op("Slice", in_order, op.ints(1), op.ints(np.iinfo(np.int64).max))
    following = op("Pad", following, op.ints(0, 1), op.constant(-1, ir.DataType.INT64))
    last = op("Squeeze", op("NonZero", op("Not", in_order.equal(following))), op.ints(0))
    upto = op("Gather", running, last)
    before = op("Pad", upto, op.ints(1, -1), None, op.ints(0))
    totals = (upto - before).cast(dtype)
    zeros = _table(rows, ids, number)
    return op("ScatterND", zeros, op("Gather", in_order, last).unsqueeze(-1), totals)


def _distinct(ids: Tensor, number: int | Tensor) -> bool:
    """Say whether it is known that no index occurs twice."""
    known = constant_tensor(ids.value)
    if known is None:
        return False
    array = known.numpy().reshape(-1)
    if (array < 0).any():
        if not isinstance(number, int):
            return False
        array = np.where(array < 0, array + number, array)
    return len(np.unique(array)) == len(array)


def _columns(rows: Tensor) -> int | Tensor:
    known = None if rows.shape is None else rows.shape[1]
    return known if isinstance(known, int) else rows.size(1)


def _dim(number: int | Tensor) -> int | None:
    return number if isinstance(number, int) else None


def _zero(dtype: ir.DataType | None) -> ir.TensorProtocol:
    kind = dtype or ir.DataType.FLOAT
    return ir.Tensor(np.zeros(1).astype(kind.numpy()), dtype=kind)
