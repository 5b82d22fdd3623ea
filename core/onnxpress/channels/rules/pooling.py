"""Channel flow through pooling and reductions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxpress.channels.site import axis_of
from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from onnxpress.channels.cut import Cut
    from onnxpress.channels.site import Site


@CHANNEL_FLOW("AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool")
@CHANNEL_FLOW("MaxPool")
def _pool(at: Site) -> None:
    x = at.input(0)
    for y in at.outputs:
        if x is not None and y is not None:
            at.same(x, 0, y, 0)
            at.same(x, 1, y, 1)


_NEUTRAL = ("ReduceL1", "ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare")
_OTHERS = ("ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMin", "ReduceProd")


@CHANNEL_FLOW(*_NEUTRAL, *_OTHERS)
def _reduce(at: Site) -> None:
    """Let axes that are reduced be cut where a zero among the elements makes no difference."""
    x, y = at.input(0), at.output()
    axes = _axes(at)
    if x is None or y is None or axes is None:
        return
    keeps = at.integer("keepdims", 1) == 1
    out = 0
    for axis in range(x.rank):
        if axis not in axes:
            at.same(x, axis, y, out)
        elif at.node.op_type in _NEUTRAL:
            at.free(x, axis)
        out += keeps or axis not in axes
    if at.node.op_type == "ReduceMean":
        at.on_cut(lambda cut: _count_zeros(at, cut, axes))


@CHANNEL_FLOW("ArgMax", "ArgMin")
def _arg(at: Site) -> None:
    x, y = at.input(0), at.output()
    if x is None or y is None:
        return
    reduced, keeps = axis_of(at.integer("axis", 0), x), at.integer("keepdims", 1) == 1
    for axis in range(x.rank):
        if axis != reduced:
            at.same(x, axis, y, axis if keeps or axis < reduced else axis - 1)


@CHANNEL_FLOW("Softmax", "LogSoftmax", "Hardmax", since=13)
@CHANNEL_FLOW("CumSum")
def _along(at: Site) -> None:
    """Keep the one axis whole along which elements depend on each other."""
    x, y = at.input(0), at.output()
    if x is None or y is None:
        return
    given = at.array(1) if at.node.op_type == "CumSum" else None
    along = axis_of(at.integer("axis", -1) if given is None else int(given.item()), x)
    for axis in range(x.rank):
        if axis != along:
            at.same(x, axis, y, axis)


def _axes(at: Site) -> list[int] | None:
    """Return the axes that a reduction reduces; None if they are not known."""
    x = at.input(0)
    rank = 0 if x is None else x.rank
    given = at.integers("axes")
    if given is None and at.given(1):
        array = at.array(1)
        if array is None:
            return None
        given = [int(n) for n in array.reshape(-1)]
    if not given:
        return [] if at.integer("noop_with_empty_axes", 0) else list(range(rank))
    return [axis % rank for axis in given]


def _count_zeros(at: Site, cut: Cut, axes: list[int]) -> None:
    """Let a mean count channels that were zero all along: it is a smaller sum for as many."""
    x = at.input(0)
    if x is None:
        return
    dead = [i for i in axes if cut.changes(x, i) and cut.dead(x, i)]
    if dead:
        share = np.prod([cut.kept(x, i).mean() for i in dead])
        dtype = x.value.dtype.numpy() if x.value.dtype is not None else np.dtype(np.float32)
        cut.insert_after(at.node, "Mul", [np.array(share, dtype)], {})
