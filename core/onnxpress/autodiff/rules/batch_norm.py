"""Batch normalization, with running statistics or with those of the batch."""

from __future__ import annotations

from math import prod

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError


@GRADIENTS("BatchNormalization")
def _batch(at: Site) -> Gradients:
    return _training(at) if at.integer("training_mode") else _inference(at)


def _inference(at: Site) -> Gradients:
    """``y = (x - mean) · scale · inv + bias`` with constants for mean and ``inv``.

    The sums of ``dy`` and of ``dy · (x - mean)`` over each channel give all but ``dx``.
    """
    dy, scale, over = at.gradient, at.input(1), _over(at)
    inv = _inverse(at, at.input(4))
    dx = dy * _wide(scale * inv, over) if at.needs(0) else None
    db = dy.sum(over, keepdims=False)
    dmean = -(scale * inv * db) if at.needs(3) else None
    if not at.needs(1) and not at.needs(4):
        return dx, None, db, dmean
    along = (dy * (at.input(0) - _wide(at.input(3), over))).sum(over, keepdims=False)
    dvar = scale * along * inv * inv * inv * -0.5 if at.needs(4) else None
    return dx, along * inv, db, dmean, dvar


def _training(at: Site) -> Gradients:
    """Mean and variance are those of ``x``, and move with it.

    ``dx = scale · inv · (dy - mean(dy) - (x - mean) · inv² · mean(dy · (x - mean)))``

    The node does not give its statistics; the running ones are rounded too much to tell them.
    """
    x, dy, over = at.input(0), at.gradient, _over(at)
    centred = x - x.mean(over)
    inv = _inverse(at, (centred * centred).mean(over))
    db, along = dy.sum(over), (dy * centred).sum(over)
    dscale, dbias = (along * inv).reshape(-1), db.reshape(-1)
    if not at.needs(0):
        return None, dscale, dbias
    count = _count(x, dy, over)
    slope = along * inv * inv / count
    return (dy - db / count - centred * slope) * (_wide(at.input(1), over) * inv), dscale, dbias


def _over(at: Site) -> tuple[int, ...]:
    """Return all axes but that of the channels."""
    rank = at.input(0).rank or at.output().rank
    if rank is None:
        raise ModelError(
            f"how many axes BatchNormalization {at.node.name!r} has is unknown; "
            "give its input a shape"
        )
    return (0, *range(2, rank))


def _inverse(at: Site, variance: Tensor) -> Tensor:
    return at.op("Reciprocal", at.op("Sqrt", variance + at.number("epsilon", 1e-5)))


def _wide(x: Tensor, over: tuple[int, ...]) -> Tensor:
    """Return a vector such that it broadcasts along the channels."""
    return x.reshape(-1, *(1 for _ in over[1:]))


def _count(x: Tensor, dy: Tensor, over: tuple[int, ...]) -> Tensor | int:
    """Return over how many elements the statistics of a channel are taken."""
    sizes = [x.shape[axis] if x.shape else None for axis in over]
    known = [n for n in sizes if isinstance(n, int)]
    if len(known) == len(sizes):
        return prod(known)
    found = x.op.concat([x.size(axis) for axis in over])
    return x.op("ReduceProd", found, keepdims=0).cast(dy.dtype)
