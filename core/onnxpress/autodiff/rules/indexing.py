"""Operators that take elements by index: what was taken often gets the sum."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.moving import (
    add_elements,
    from_front,
    places_by,
    put_back,
    sum_rows,
)
from onnxpress.autodiff.requests import requested
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import (
    difference,
    positions,
    product,
    size,
    sizes,
    to_shape,
    upto,
    vector,
)
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("Gather")
def _gather(at: Site) -> Tensor:
    """One index: pad with zeros. Several: the rows that were taken, added up."""
    x, indices, axis = at.input(0), at.input(1), at.axis(0)
    if x.rank is None or indices.rank is None:
        return put_back(at, places_by(at, indices))
    if indices.fixed is not None and set(indices.fixed) <= {1}:
        return _gather_one(at, axis)
    return _rows_back(at, indices.reshape(-1) if indices.rank != 1 else indices, axis)


def _gather_one(at: Site, axis: int) -> Tensor:
    """Zeros but for one place along the axis."""
    op, x = at.op, at.input(0)
    length, known = size(x, axis), at.constant(1)
    place: int | Tensor
    if known is not None and (int(known.reshape(-1)[0]) >= 0 or isinstance(length, int)):
        place = int(known.reshape(-1)[0])
        place += length if place < 0 and isinstance(length, int) else 0
    else:
        place = from_front(at.input(1).reshape(1).cast(ir.DataType.INT64), length)
    after = difference(op, difference(op, length, place), 1)
    alone = to_shape(at.gradient, *sizes(x, 0, axis), 1, *sizes(x, axis + 1))
    padded = op("Pad", alone, vector(op, place, after), None, op.ints(axis))
    return op.typed(padded.value, at.gradient.dtype, x.shape)


def _rows_back(at: Site, ids: Tensor, axis: int) -> Tensor:
    """Add what was taken at `ids` along an axis: as rows, with that axis in front."""
    op, x, number = at.op, at.input(0), size(at.input(0), axis)
    before, after = product(op, sizes(x, 0, axis)), product(op, sizes(x, axis + 1))
    taken = size(ids, 0)
    if axis == 0:
        table = sum_rows(to_shape(at.gradient, taken, after), ids, number)
        return to_shape(table, *sizes(x))
    front = to_shape(at.gradient, before, taken, after).transpose(1, 0, 2)
    table = sum_rows(to_shape(front, taken, product(op, [before, after])), ids, number)
    return to_shape(to_shape(table, number, before, after).transpose(1, 0, 2), *sizes(x))


@GRADIENTS("GatherElements")
def _gather_elements(at: Site) -> Tensor:
    zeros = at.op.zeros_like(at.input(0), at.gradient.dtype)
    return add_elements(zeros, at.input(1), at.gradient, at.integer("axis"))


@GRADIENTS("GatherND")
def _gather_nd(at: Site) -> Tensor:
    """The leading axes, which the indices point into, are taken as one axis of rows."""
    op, x, indices = at.op, at.input(0), at.input(1)
    depth = None if indices.shape is None else indices.shape[-1]
    if x.rank is None or not isinstance(depth, int):
        return put_back(at, places_by(at, indices))
    batch = at.integer("batch_dims")
    leading = sizes(x, 0, batch + depth)
    number, columns = product(op, leading), product(op, sizes(x, batch + depth))
    rows = to_shape(upto(number, op), *leading)
    ids = op("GatherND", rows, indices, batch_dims=batch).reshape(-1)
    taken = product(op, sizes(indices, 0, -1))
    table = sum_rows(to_shape(at.gradient, taken, columns), ids, number)
    return to_shape(table, *sizes(x))


@GRADIENTS("Compress")
def _compress(at: Site) -> Tensor:
    """As Gather, at the places where the condition holds."""
    op, x = at.op, at.input(0)
    ids = op("Squeeze", op("NonZero", at.input(1)), op.ints(0))
    ids = op.typed(ids.value, ir.DataType.INT64, (None,))
    if "axis" not in at.node.attributes:
        return put_back(at, ids)
    if x.rank is None:
        return put_back(at, op("Gather", positions(x), ids, axis=at.integer("axis")))
    return _rows_back(at, ids, at.axis())


@GRADIENTS("TopK")
def _topk(at: Site) -> Tensor:
    """Back to where the values were; no two are from one place."""
    x, axis = at.input(0), at.integer("axis", -1)
    places = requested(at, 1, ir.DataType.INT64, at.output().shape)
    zeros = at.op.zeros_like(x, at.gradient.dtype)
    return at.op("ScatterElements", zeros, places, at.gradient, axis=axis)


@GRADIENTS("OneHot")
def _one_hot(at: Site) -> Gradients:
    """``y`` is values[1] where the index is, values[0] elsewhere."""
    op, dy, axis = at.op, at.gradient, at.integer("axis", -1)
    marks = op("OneHot", at.input(0), at.input(1), np.array([0.0, 1.0], np.float32), axis=axis)
    hot = op.typed(marks.value, ir.DataType.FLOAT, dy.shape).cast(dy.dtype)
    on, off = ((dy * part).sum(keepdims=False).reshape(1) for part in (hot, 1 - hot))
    return None, None, op.concat([off, on])
