"""Pad: the gradient without what was added; what was added as a copy goes back to its original."""

from __future__ import annotations

from typing import Final

import numpy as np

from onnxpress.autodiff.moving import places_by, put_back
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import difference, size, vector
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor

_ENDS: Final = np.iinfo(np.int64)


@GRADIENTS("Pad")
def _pad(at: Site) -> Gradients:
    if at.text("mode", "constant") == "constant":
        return _cropped(at) if at.needs(0) else None, None, _value(at)
    borders = _borders(at)
    if borders is None:
        return put_back(at, places_by(at, *at.x[1:]))
    dx = at.gradient
    for axis, before, after in borders:
        if before or after:
            dx = _folded(at, dx, axis, before, after)
    return at.op.typed(dx.value, dx.dtype, at.input(0).shape)


def _cropped(at: Site) -> Tensor:
    """Pad by the opposite numbers; where the node cropped, zeros come back."""
    op, known = at.op, at.constant(1)
    pads = -at.input(1) if known is None else op.ints(*(-int(n) for n in known))
    axes = at.input(3) if at.has(3) else None
    dx = op("Pad", at.gradient, pads, None, axes)
    return op.typed(dx.value, at.gradient.dtype, at.input(0).shape)


def _value(at: Site) -> Tensor | None:
    """Return the gradient of the value that is padded with: the sum over all copies of it."""
    if not at.has(2) or not at.needs(2):
        return None
    op, dy = at.op, at.gradient
    one = op.constant(1, dy.dtype)
    added = op("Pad", op.zeros_like(at.input(0), dy.dtype), at.input(1), one, *at.x[3:])
    return (dy * added).sum(keepdims=False).reshape_like(at.input(2))


def _borders(at: Site) -> list[tuple[int, int, int]] | None:
    """Return axis, and numbers of elements added before and after.

    None if they are not known, or negative, or more than wrap round once.
    """
    x, pads = at.input(0), at.constant(1)
    axes = at.constant(3) if at.has(3) else np.arange(x.rank or 0)
    if pads is None or axes is None or x.rank is None or (pads < 0).any():
        return None
    places = [int(axis) % x.rank for axis in axes]
    begins, ends = pads[: len(places)].tolist(), pads[len(places) :].tolist()
    borders = list(zip(places, begins, ends, strict=True))
    if at.text("mode", "constant") == "wrap":
        for axis, before, after in borders:
            length = size(x, axis)
            if not isinstance(length, int) or max(before, after) > length:
                return None
    return borders


def _folded(at: Site, dy: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Add what arrives at the borders of one axis to where they were copied from.

    The borders are ``x[before], …, x[1]`` and ``x[n-2], …, x[n-1-after]`` (reflect);
    ``x[0]`` and ``x[n-1]`` (edge); ``x[n-before:]`` and ``x[:after]`` (wrap).
    """
    op, mode, n = at.op, at.text("mode", "constant"), size(at.input(0), axis)
    middle = op("Pad", dy, op.ints(-before, -after), None, op.ints(axis))

    def less(number: int) -> int | Tensor:
        return difference(op, n, number)

    def cut(start: int, end: int, step: int) -> Tensor:
        return op("Slice", dy, *(op.ints(number) for number in (start, end, axis, step)))

    def put(part: Tensor, begin: int | Tensor, end: int | Tensor) -> Tensor:
        return op("Pad", part, vector(op, begin, end), None, op.ints(axis))

    parts = [middle]
    if before and mode == "reflect":
        parts.append(put(cut(before - 1, _ENDS.min, -1), 1, less(1 + before)))
    elif before and mode == "edge":
        parts.append(put(cut(0, before, 1).sum((axis,)), 0, less(1)))
    elif before:
        parts.append(put(cut(0, before, 1), less(before), 0))
    if after and mode == "reflect":
        parts.append(put(cut(-1, -1 - after, -1), less(1 + after), 1))
    elif after and mode == "edge":
        parts.append(put(cut(-after, _ENDS.max, 1).sum((axis,)), less(1), 0))
    elif after:
        parts.append(put(cut(-after, _ENDS.max, 1), 0, less(after)))
    return op.add(parts)
