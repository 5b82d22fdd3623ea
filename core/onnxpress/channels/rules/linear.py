"""Channel flow through matrix products: what is summed over goes on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from onnxpress.channels.site import Port, Site


@CHANNEL_FLOW("Gemm")
def _gemm(at: Site) -> None:
    a, b, c, y = at.input(0), at.input(1), at.input(2), at.output()
    if a is None or b is None or y is None:
        return
    rows, summed_a = (1, 0) if at.integer("transA", 0) else (0, 1)
    columns, summed_b = (0, 1) if at.integer("transB", 0) else (1, 0)
    at.same(a, rows, y, 0)
    at.same(b, columns, y, 1)
    at.same(a, summed_a, b, summed_b)
    if c is not None:
        at.broadcast(c, y)


@CHANNEL_FLOW("MatMul")
def _matmul(at: Site) -> None:
    a, b, y = at.input(0), at.input(1), at.output()
    if a is None or b is None or y is None:
        return
    summed_b = b.rank - 2 if b.rank > 1 else 0
    at.same(a, a.rank - 1, b, summed_b)
    after = y.rank
    if b.rank > 1:
        after -= 1
        at.same(b, b.rank - 1, y, after)
    if a.rank > 1:
        after -= 1
        at.same(a, a.rank - 2, y, after)
    for given in (a, b):
        for axis in range(given.rank - 2):
            _batch(at, given, axis, y, after - (given.rank - 2) + axis)
    for axis in range(after):
        at.mark_heads(y, axis)


def _batch(at: Site, given: Port, axis: int, y: Port, out: int) -> None:
    """Let an axis along which products are done one by one go with that of the result."""
    if given.sizes[axis] == 1 != y.sizes[out]:
        at.free(given, axis)
    else:
        at.same(given, axis, y, out)
