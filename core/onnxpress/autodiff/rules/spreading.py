"""Sums over the windows that see an element: the reverse of sums over what a window sees."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.rules.convolution import transposed_conv
from onnxpress.autodiff.rules.windows import Window, resized, spatial, tensor_of
from onnxpress.autodiff.tensor import Tensor

_REPEAT: Final = {
    "mode": "nearest",
    "coordinate_transformation_mode": "asymmetric",
    "nearest_mode": "floor",
}


def spread(d: Tensor, x: Tensor, window: Window) -> Tensor:
    """Give every element of `x` the sum of `d` over all windows that see it.

    Args:
        d: One number for every position of the window, ``(N, C, …)``.
        x: What the window moves over.
        window: The window, fitted to both.
    """
    if set(window.dilations) == {1}:
        if window.kernel == window.strides:
            return _repeated(d, x, window)
        pads = window.turned_pads
        if window.steps_by_one and pads is not None and min(pads) >= 0:
            return _pooled(d, window, pads)
    assert not isinstance(window.kernel, Tensor)
    ones = d.op.constant(np.ones((1, 1, *window.kernel)), d.dtype or ir.DataType.FLOAT)
    return unfolded(window_sums(folded(d, d, 1), x, window, ones), x)


def _repeated(d: Tensor, x: Tensor, window: Window) -> Tensor:
    """Windows that lie side by side: repeat every element, then cut."""
    op, size, count = d.op, spatial(x), spatial(d)
    scales = op.constant(np.array([1, 1, *window.strides], np.float32))
    full = op("Resize", d, None, scales, **_REPEAT)
    if isinstance(size, tuple) and isinstance(count, tuple):
        have = tuple(n * s for n, s in zip(count, window.strides, strict=True))
        if have == size:
            return full
    return resized(full, window.begin, size)


def _pooled(d: Tensor, window: Window, pads: tuple[int, ...]) -> Tensor:
    """Windows that move by one: an average pool, which is faster than ConvTranspose."""
    mean = d.op("AveragePool", d, kernel_shape=window.kernel, pads=pads, count_include_pad=1)
    assert window.count is not None
    return mean * window.count


def window_sums(d: Tensor, x: Tensor, window: Window, weight: Tensor) -> Tensor:
    """Transpose a convolution with `weight` over one channel of `x`, both without batch."""
    size, pads, strides = spatial(x), window.pads, window.strides
    if isinstance(size, Tensor) or pads is None:
        return transposed_conv(d, weight, window, 1, size)
    over = [max(0, -n) for n in pads[len(strides) :]]
    return d.op(
        "ConvTranspose", d, weight, strides=strides, dilations=window.dilations,
        pads=[max(0, n) for n in pads], output_padding=over if any(over) else None,
    )  # fmt: skip


def folded(d: Tensor, like: Tensor, channels: int) -> Tensor:
    """Return ``(N · C, channels, …)`` from ``(N, C, …)``; the rest is sized as in `like`."""
    sizes = spatial(like)
    if isinstance(sizes, tuple):
        return d.reshape(-1, channels, *sizes)
    op = d.op
    flat = op("Reshape", d, op.concat([op.ints(-1, channels), tensor_of(op, sizes)]))
    return op.typed(flat.value, d.dtype, (None,) * (2 + len((like.shape or ())[2:])))


def unfolded(d: Tensor, x: Tensor) -> Tensor:
    """Return ``(N · C, 1, …)`` in the shape of `x`."""
    return d.op.typed(d.value, d.dtype, None).reshape_like(x)
