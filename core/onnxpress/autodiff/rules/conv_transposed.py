"""Transposed convolution: what the input gradient of a convolution is made of."""

from __future__ import annotations

import numpy as np

from onnxpress.autodiff.rules.conv_weight import Correlation, weight_gradient
from onnxpress.autodiff.rules.convolution import bias_gradient, gradient_of, kernel_of, ranked
from onnxpress.autodiff.rules.window_attributes import halves, spatial_axes
from onnxpress.autodiff.rules.windows import Sizes, Window, spatial, tensor_of
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("ConvTranspose")
def _conv_transposed(at: Site) -> Gradients:
    """``y`` is the input gradient of a convolution from the shape of ``y`` to that of ``x``.

    So ``dx`` is that convolution of ``dy``, and the weights correlate ``dy`` with ``x``.
    """
    group, dy = at.integer("group", 1), gradient_of(at)
    window = _window(at, kernel_of(at))
    x, w = ranked(at.input(0), window), ranked(at.input(1), window)
    dx = _convolved(dy, w, window, group) if at.needs(0) else None
    dw = weight_gradient(Correlation(window, group, dy, x, w)) if at.needs(1) else None
    return dx, dw, bias_gradient(at, dy)


def _convolved(dy: Tensor, w: Tensor, window: Window, group: int) -> Tensor:
    padded, free = window.accepted(dy)
    return w.op(
        "Conv", padded, w, group=group, pads=free.pads, strides=free.strides,
        dilations=free.dilations,
    )  # fmt: skip


def _window(at: Site, kernel: Sizes) -> Window:
    """Return the window that moves over ``y`` and has as many positions as ``x`` elements.

    What ``output_padding`` adds behind, no window sees: it counts as padding less than none,
    unless it is so little that there is no room for one more window.
    """
    axes = spatial_axes(at)
    ones, none = (1,) * axes, (0,) * axes
    strides, extra = at.ints("strides") or ones, at.ints("output_padding") or none
    window = Window(kernel, strides, at.ints("dilations") or ones, none, none)
    begin, end = _padding(at, window, extra)
    if isinstance(end, Tensor):
        return Window(kernel, strides, window.dilations, begin, end - np.array(extra))
    rooms = zip(end, extra, strides, strict=True)
    seen = tuple(max(e - more, 0) if more < s else e - more for e, more, s in rooms)
    return Window(kernel, strides, window.dilations, begin, seen)


def _padding(at: Site, window: Window, extra: tuple[int, ...]) -> tuple[Sizes, Sizes]:
    """Return how much is cut off the result, as the standard defines it."""
    axes, mode, sizes = len(extra), at.text("auto_pad", "NOTSET"), at.ints("output_shape")
    if not sizes and mode in {"NOTSET", "VALID"}:
        given = (at.ints("pads") if mode == "NOTSET" else None) or (0,) * (2 * axes)
        return given[:axes], given[axes:]
    lacking = _lacking(at.input(0), window, sizes[-axes:] if sizes else None)
    if isinstance(lacking, Tensor):
        op = lacking.op
        total: Sizes = op("Max", lacking + np.array(extra), op.ints(*[0] * axes))
    else:
        total = tuple(max(0, n + more) for n, more in zip(lacking, extra, strict=True))
    return halves(total, upper=mode == "SAME_UPPER")


def _lacking(x: Tensor, window: Window, sizes: tuple[int, ...] | None) -> Sizes:
    """Return by how much the result is larger than `sizes`, by default input times stride."""
    reach, strides, known = window.reach, window.strides, spatial(x)
    if reach is not None and sizes is None:
        return tuple(r - s for r, s in zip(reach, strides, strict=True))
    if reach is not None and sizes is not None and not isinstance(known, Tensor):
        quads = zip(known, strides, reach, sizes, strict=True)
        return tuple((n - 1) * s + r - wanted for n, s, r, wanted in quads)
    op, steps = x.op, np.array(strides)
    span = (tensor_of(op, window.kernel) - 1) * np.array(window.dilations) + 1
    if sizes is None:
        return span - steps
    return (tensor_of(op, known) - 1) * steps + span - np.array(sizes)
