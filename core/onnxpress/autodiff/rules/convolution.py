"""Convolution."""

from __future__ import annotations

from math import prod
from typing import Final

import numpy as np

from onnxpress.autodiff.rules.conv_weight import Correlation, weight_gradient
from onnxpress.autodiff.rules.window_attributes import spatial_axes, window_of
from onnxpress.autodiff.rules.windows import Sizes, Window, resized, shaped_like, spatial
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor

_BEFORE_FIRST: Final = int(np.iinfo(np.int64).min)


@GRADIENTS("Conv")
def _conv(at: Site) -> Gradients:
    window, group, dy = window_of(at, kernel_of(at)), at.integer("group", 1), gradient_of(at)
    x, w = ranked(at.input(0), window), ranked(at.input(1), window)
    dx = _input_gradient(x, w, dy, window, group) if at.needs(0) else None
    dw = weight_gradient(Correlation(window, group, x, dy, w)) if at.needs(1) else None
    return dx, dw, bias_gradient(at, dy)


def kernel_of(at: Site) -> Sizes:
    """Return the kernel of a convolution, from its attribute or from its weights."""
    given = at.ints("kernel_shape")
    return given if given is not None else spatial(at.input(1))


def ranked(x: Tensor, window: Window) -> Tensor:
    """Return a tensor of which at least the number of axes is known."""
    if x.shape is not None:
        return x
    return x.op.typed(x.value, x.dtype, (None,) * (2 + len(window.axes)))


def gradient_of(at: Site) -> Tensor:
    """Return what arrives, with all that is known of the shape of the output."""
    y, dy = at.output(), at.gradient
    if y.shape is not None:
        return shaped_like(dy, y)
    return at.op.typed(dy.value, dy.dtype, (None,) * (2 + spatial_axes(at)))


def bias_gradient(at: Site, dy: Tensor) -> Tensor | None:
    """Sum over everything but the channels."""
    axes = (0, *range(2, 2 + spatial_axes(at)))
    return dy.sum(axes, keepdims=False) if at.needs(2) else None


def _input_gradient(x: Tensor, w: Tensor, dy: Tensor, window: Window, group: int) -> Tensor:
    """Choose among the forms of the input gradient."""
    if window.steps_by_one and (group == 1 or w.fixed is not None):
        pads = window.turned_pads
        if pads is not None and min(pads) >= 0:
            return _turned(w, dy, window, group, pads)
    size = spatial(x)
    if window.reach is None or window.pads is None or isinstance(size, Tensor):
        return transposed_conv(dy, w, window, group, size)
    rests = zip(size, window.begin, window.end, window.reach, window.strides, strict=True)  # type: ignore[arg-type]
    over = [(n + a + b - reach) % s for n, a, b, reach, s in rests]
    return w.op(
        "ConvTranspose", dy, w, strides=window.strides, dilations=window.dilations, group=group,
        pads=window.pads, output_padding=over if any(over) else None,
    )  # fmt: skip


def transposed_conv(dy: Tensor, w: Tensor, window: Window, group: int, size: Sizes) -> Tensor:
    """Transpose a convolution over a tensor whose sizes only the run can tell."""
    full = w.op(
        "ConvTranspose", dy, w, strides=window.strides, dilations=window.dilations, group=group
    )
    return resized(full, window.begin, size)


def _turned(w: Tensor, dy: Tensor, window: Window, group: int, pads: tuple[int, ...]) -> Tensor:
    """A convolution of ``dy`` with weights reversed along space and transposed in channels.

    For strides of 1 it is faster than ConvTranspose (METHODS D.5), and needs no sizes.
    """
    weight = _channels_swapped(_reversed(w, window), w, group)
    return w.op("Conv", dy, weight, pads=pads, dilations=window.dilations, group=group)


def _reversed(w: Tensor, window: Window) -> Tensor:
    assert not isinstance(window.kernel, Tensor)
    axes = [2 + i for i, k in enumerate(window.kernel) if k > 1]
    if not axes:
        return w
    op, backward = w.op, w.op.ints(*(-1 for _ in axes))
    ends = op.ints(*(_BEFORE_FIRST for _ in axes))
    flipped = op("Slice", w, backward, ends, op.ints(*axes), backward)
    return op.typed(flipped.value, w.dtype, w.shape)


def _channels_swapped(flipped: Tensor, w: Tensor, group: int) -> Tensor:
    """``(M, C / group, …)`` becomes ``(C, M / group, …)``."""
    rest = tuple(range(2, w.rank or 2))
    if group == 1:
        return flipped.transpose(1, 0, *rest)
    assert w.fixed is not None
    m, c, *k = w.fixed
    if m == group and c == 1:
        return flipped
    turned = flipped.reshape(group, m // group, c, prod(k)).transpose(0, 2, 1, 3)
    return turned.reshape(group * c, m // group, *k)
