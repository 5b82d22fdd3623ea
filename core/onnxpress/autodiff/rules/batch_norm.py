"""Batch normalization, with running statistics or with those of the batch."""

from __future__ import annotations

from math import prod

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("BatchNormalization")
def _batch(at: Site) -> Gradients:
    x = channelled(at, at.input(0))
    over = (0, *range(2, x.rank or 0))
    if not at.integer("training_mode"):
        return _like_input(at, _inference(at, x, channelled(at, at.gradient), over))
    moving = _moving(at, x, over)
    if at.dy[0] is None:
        return _like_input(at, moving)
    fixed = _training(at, x, channelled(at, at.gradient), over)
    return _like_input(at, [_both(at, a, b) for a, b in zip(fixed, moving, strict=True)])


def _like_input(at: Site, gradients: list[Tensor | None]) -> Gradients:
    dx, *rest = gradients
    return None if dx is None else dx.reshape_like(at.input(0)), *rest


def _both(at: Site, a: Tensor | None, b: Tensor | None) -> Tensor | None:
    there = [gradient for gradient in (a, b) if gradient is not None]
    return at.op.add(there) if there else None


def channelled(at: Site, x: Tensor) -> Tensor:
    """Return `x`, with all that is behind its channels as one axis if their number is unknown."""
    return x if at.input(0).rank is not None else x.reshape(0, 0, -1)


def _inference(at: Site, x: Tensor, dy: Tensor, over: tuple[int, ...]) -> list[Tensor | None]:
    """``y = (x - mean) · scale · inv + bias`` with constants for mean and ``inv``.

    The sums of ``dy`` and of ``dy · (x - mean)`` over each channel give all but ``dx``.
    """
    scale, inv = at.input(1), _inverse(at, at.input(4))
    dx = dy * _wide(scale * inv, over) if at.needs(0) else None
    db = dy.sum(over, keepdims=False)
    dmean = -(scale * inv * db) if at.needs(3) else None
    if not at.needs(1) and not at.needs(4):
        return [dx, None, db, dmean]
    along = (dy * (x - _wide(at.input(3), over))).sum(over, keepdims=False)
    dvar = scale * along * inv * inv * inv * -0.5 if at.needs(4) else None
    return [dx, along * inv, db, dmean, dvar]


def _training(at: Site, x: Tensor, dy: Tensor, over: tuple[int, ...]) -> list[Tensor | None]:
    """Mean and variance are those of ``x``, and move with it.

    ``dx = scale · inv · (dy - mean(dy) - (x - mean) · inv² · mean(dy · (x - mean)))``

    The node does not give its statistics; the running ones are rounded too much to tell them.
    """
    centred = x - x.mean(over)
    inv = _inverse(at, (centred * centred).mean(over))
    db, along = dy.sum(over), (dy * centred).sum(over)
    dscale, dbias = (along * inv).reshape(-1), db.reshape(-1)
    if not at.needs(0):
        return [None, dscale, dbias, None, None]
    count = _count(x, dy, over)
    slope = along * inv * inv / count
    dx = (dy - db / count - centred * slope) * (_wide(at.input(1), over) * inv)
    return [dx, dscale, dbias, None, None]


def _moving(at: Site, x: Tensor, over: tuple[int, ...]) -> list[Tensor | None]:
    """The running statistics: ``r = input · momentum + (that of the batch) · (1 - momentum)``.

    ``d mean / dx = 1 / n`` and ``d var / dx = 2 (x - mean) / n``, the variance being that of
    the population.
    """
    momentum = at.number("momentum", 0.9)
    arrived = [at.dy[i] if len(at.dy) > i else None for i in (1, 2)]
    dmean, dvar = (None if d is None else d * momentum for d in arrived)
    if not at.needs(0) or arrived == [None, None]:
        return [None, None, None, dmean, dvar]
    share = (1 - momentum) / _count(x, x, over)
    terms = []
    if arrived[0] is not None:
        terms.append(_wide(arrived[0].cast(x.dtype) * share, over).expand_like(x))
    if arrived[1] is not None:
        terms.append((x - x.mean(over)) * _wide(arrived[1].cast(x.dtype) * share * 2, over))
    return [at.op.add(terms), None, None, dmean, dvar]


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
