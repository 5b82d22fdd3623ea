"""Reductions: what arrives is spread over the axes that were reduced.

The axes may be constants, computed, or all of them: rules pass the input that holds them on
to `Unsqueeze` and to reductions of their own, so the same nodes serve all three.
"""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from onnxpress.autodiff.rules.products import others
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("ReduceSum")
def _sum(at: Site) -> Tensor:
    return _wide(at, at.gradient).expand_like(at.input(0))


@GRADIENTS("ReduceMean")
def _mean(at: Site) -> Tensor:
    return _wide(at, at.gradient / _count(at)).expand_like(at.input(0))


@GRADIENTS("ReduceMax", "ReduceMin")
def _extreme(at: Site) -> Tensor:
    """Elements that share the extreme share the gradient: split evenly, as in PyTorch's amax."""
    x = at.input(0)
    chosen = x.equal(_wide(at, at.output())).cast(x.dtype)
    return chosen * (_wide(at, at.gradient) / _again(at, "ReduceSum", chosen))


@GRADIENTS("ReduceProd")
def _prod(at: Site) -> Tensor:
    """``dx = dy · (product of the others)``: right where elements are zero."""
    x, over = at.input(0), _over(at)
    if 0 in (x.fixed or ()):  # ONNX Runtime folds what follows into indices that are not there
        return at.op.zeros_like(x)
    rest = others(x, over) if over is not None else _others_at_run_time(at)
    return _wide(at, at.gradient) * rest


@GRADIENTS("ReduceL1")
def _l1(at: Site) -> Tensor:
    return _wide(at, at.gradient) * at.op("Sign", at.input(0))


@GRADIENTS("ReduceL2")
def _l2(at: Site) -> Tensor:
    """``dx = dy · x / y``, and 0 where ``y`` is: the least of the subgradients."""
    y = at.output()
    zero = y.equal(0).cast(y.dtype)
    return at.input(0) * _wide(at, at.gradient * (1 - zero) / (y + zero))


@GRADIENTS("ReduceSumSquare")
def _sum_square(at: Site) -> Tensor:
    return at.input(0) * _wide(at, at.gradient * 2)


@GRADIENTS("ReduceLogSum")
def _log_sum(at: Site) -> Tensor:
    scaled = at.gradient / at.op("Exp", at.output())
    return _wide(at, scaled).expand_like(at.input(0))


@GRADIENTS("ReduceLogSumExp")
def _log_sum_exp(at: Site) -> Tensor:
    share = at.op("Exp", at.input(0) - _wide(at, at.output()))
    return _wide(at, at.gradient) * share


def _wide(at: Site, reduced: Tensor) -> Tensor:
    """Return a tensor in the shape of the output so that it broadcasts to that of the input.

    If there are no axes then either all were reduced, and it is a single element, or none was.
    """
    if at.integer("keepdims", 1) or not at.has(1):
        return reduced
    return at.op("Unsqueeze", reduced, at.input(1))


def _again(at: Site, op_type: str, x: Tensor) -> Tensor:
    """Reduce a tensor in the shape of the input over the same axes, and keep them."""
    noop = at.integer("noop_with_empty_axes") or None
    axes = (at.input(1),) if at.has(1) else ()
    return at.op(op_type, x, *axes, keepdims=1, noop_with_empty_axes=noop)


def _over(at: Site) -> tuple[int, ...] | None:
    """Return the axes that are reduced, None if they or the number of axes are unknown."""
    given, rank = at.axes() if at.has(1) else (), at.input(0).rank
    if given or given is None:
        return given
    if at.integer("noop_with_empty_axes"):
        return ()
    return None if rank is None else tuple(range(rank))


def _count(at: Site) -> Tensor | float:
    """Return how many elements become one."""
    x, over = at.input(0), _over(at)
    sizes = [None] if over is None or x.shape is None else [x.shape[axis] for axis in over]
    known = [size for size in sizes if isinstance(size, int)]
    if len(known) == len(sizes):
        return float(prod(known))
    # In float64, exact for any count; it is one element only.
    before, after = (at.op("Size", v).cast(ir.DataType.DOUBLE) for v in (x, at.output()))
    return (before / after).cast(x.dtype)


def _others_at_run_time(at: Site) -> Tensor:
    """Return the products of the others where the axes or their number are unknown.

    Elements are sorted by the output that they end up in, so that each is one row of a matrix.
    """
    op, x, y = at.op, at.input(0), at.output()
    number = op("Range", op.scalar(0), op("Size", y), op.scalar(1))
    row = _wide(at, op("Reshape", number, y.sizes(), allowzero=1))
    rows = op("Expand", row, x.sizes()).reshape(-1)
    count = op("Shape", rows)
    order = op.many("TopK", 2, rows, count, largest=0)[1]
    place = op.many("TopK", 2, order, count, largest=0)[1]
    sorted_ = op("Gather", x.reshape(-1), order)
    columns = op("Size", x) / op("Max", op("Size", y), op.scalar(1))  # both may be empty
    shape = op("Concat", op("Size", y).reshape(1), columns.reshape(1), axis=0)
    matrix = op("Reshape", sorted_, shape, allowzero=1)
    matrix = op.typed(matrix.value, x.dtype, (None, None))
    rest = op("Gather", others(matrix, (1,)).reshape(-1), place)
    return op.typed(op("Reshape", rest, x.sizes(), allowzero=1).value, x.dtype, x.shape)
