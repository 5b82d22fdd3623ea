"""Means and norms over windows."""

from __future__ import annotations

from math import prod

import numpy as np

from onnxpress.autodiff.rules.convolution import gradient_of, ranked
from onnxpress.autodiff.rules.spreading import spread
from onnxpress.autodiff.rules.window_attributes import window_of
from onnxpress.autodiff.rules.windows import Sizes, Window, spatial
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("AveragePool")
def _average_pool(at: Site) -> Tensor:
    dy, given = gradient_of(at), window_of(at)
    x = ranked(at.input(0), given)
    window = given.fitted(x, dy)
    return spread(_shared_out(at, dy, x, given, window), x, window)


def _shared_out(at: Site, dy: Tensor, x: Tensor, given: Window, window: Window) -> Tensor:
    """Divide what arrives by how many elements each mean is taken over."""
    assert window.count is not None
    with_pads = bool(at.integer("count_include_pad"))
    counted = window if not with_pads else None
    if (with_pads and not at.integer("ceil_mode")) or (counted and _only_inside(counted)):
        return dy / window.count
    counts: Tensor | None = None
    for i in range(len(window.axes)):
        along = _count(x, dy, given, i, with_pads=with_pads)
        counts = along if counts is None else counts * along
    assert counts is not None
    return dy / counts.cast(dy.dtype)


def _only_inside(window: Window) -> bool:
    """Say whether no position of a fitted window reaches out of what it moves over."""
    return window.pads is not None and max(window.pads) <= 0


def _count(x: Tensor, dy: Tensor, window: Window, i: int, *, with_pads: bool) -> Tensor:
    """Return how many elements count along a spatial axis, one number for every position."""
    op, k, d = x.op, _item(window.kernel, i), window.dilations[i]
    positions = op("Range", op.scalar(0), dy.size(2 + i).squeeze(0), op.scalar(1))
    begin, end = _item(window.begin, i), _item(window.end, i)
    size = x.size(2 + i)
    first = op.typed(positions.value, size.dtype, (None,)) * window.strides[i] - begin
    assert isinstance(k, int)
    places = first.unsqueeze(1) + np.arange(k) * d
    low, high = (-begin, size + end) if with_pads else (0, size)
    inside = op("And", places >= low, places < high).cast(size.dtype)
    return inside.sum((1,), keepdims=False).reshape(-1, *(1 for _ in window.axes[i + 1 :]))


def _item(sizes: Sizes, i: int) -> int | Tensor:
    """Return one of the sizes; a tensor of one element if only the run can tell."""
    if isinstance(sizes, Tensor):
        return sizes.op("Gather", sizes, sizes.op.ints(i))
    return sizes[i]


@GRADIENTS("LpPool")
def _lp_pool(at: Site) -> Tensor:
    dy, given, p = gradient_of(at), window_of(at), at.integer("p", 2)
    x = ranked(at.input(0), given)
    scaled = dy * _outer(at.output(), p)
    return _inner(x, p) * spread(scaled, x, given.fitted(x, dy))


@GRADIENTS("GlobalLpPool")
def _global_lp_pool(at: Site) -> Tensor:
    x, p = at.input(0), at.integer("p", 2)
    return _inner(x, p) * (at.gradient * _outer(at.output(), p))


# y = (Σ |x|^p)^(1/p), so dy/dx = x · |x|^(p-2) · y^(1-p): the inner factor and the outer one.
def _inner(x: Tensor, p: int) -> Tensor:
    if p == 1:
        return x.op("Sign", x)
    return x if p == 2 else x * x.op("Abs", x) ** (p - 2)  # noqa: PLR2004


def _outer(y: Tensor, p: int) -> Tensor:
    """Return ``y^(1-p)``; where all is zero, so is the inner factor, and this is finite."""
    if p == 1:
        return y * 0 + 1
    safe = y + y.equal(0).cast(y.dtype)
    return y.op("Reciprocal", safe) if p == 2 else safe ** (1 - p)  # noqa: PLR2004


@GRADIENTS("GlobalAveragePool")
def _global_average_pool(at: Site) -> Tensor:
    x, sizes = at.input(0), spatial(at.input(0)) if at.input(0).shape else None
    if isinstance(sizes, tuple):
        return (at.gradient / prod(sizes)).expand_like(x)
    count = x.op("ReduceProd", x.op("Shape", x, start=2), keepdims=0)
    return (at.gradient / count.cast(at.gradient.dtype)).expand_like(x)
