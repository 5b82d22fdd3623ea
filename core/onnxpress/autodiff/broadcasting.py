"""Undoing broadcasting: a gradient is summed over the axes along which a value was repeated."""

from __future__ import annotations

from onnxpress.autodiff.tensor import Tensor
from onnxpress.graph.types import Dim


def sum_to(gradient: Tensor, like: Tensor) -> Tensor:
    """Sum `gradient` to the shape of `like`, which broadcasts to the shape of `gradient`.

    Where both shapes are known, by their numbers or by the same symbols, the axes are
    constants; where they are not, they are found at run time.
    """
    wide, narrow = gradient.shape, like.shape
    if wide is None or narrow is None:
        return _sum_at_run_time(gradient, like)
    leading = tuple(range(len(wide) - len(narrow)))
    padded = (*(1 for _ in leading), *narrow)
    pairs = list(zip(wide, padded, strict=True))
    if any(_may_differ(a, b) for a, b in pairs):
        return _sum_at_run_time(gradient, like)
    repeated = tuple(i for i, (a, b) in enumerate(pairs) if b == 1 and a != 1)
    if set(repeated) <= set(leading):
        return gradient.sum(leading, keepdims=False)
    summed = gradient.sum(tuple(sorted({*repeated, *leading})))
    return summed.squeeze(*leading) if leading else summed


def _may_differ(wide: Dim, narrow: Dim) -> bool:
    """Say whether only the run can tell if an axis was repeated."""
    return not isinstance(narrow, int) and (narrow is None or wide != narrow)


def _sum_at_run_time(gradient: Tensor, like: Tensor) -> Tensor:
    """Sum over the axes where `like` has size 1, or none at all, found from its shape.

    Reducing an axis that is 1 on both sides changes nothing, so the wide shape need not be
    looked at.  Without ``noop_with_empty_axes``, no axes would mean all of them.
    """
    op, sizes = gradient.op, like.sizes()
    missing = op("Shape", gradient.sizes()) - op("Shape", sizes)
    padded = op("Concat", op("Expand", op.ints(1), missing), sizes, axis=0)
    repeated = op("NonZero", padded.equal(1)).reshape(-1)
    summed = op("ReduceSum", gradient, repeated, keepdims=1, noop_with_empty_axes=1)
    return op.typed(op("Reshape", summed, sizes).value, gradient.dtype, like.shape)
