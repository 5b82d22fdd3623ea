"""DFT and STFT: the gradient of a Fourier transform is the transform the other way, unscaled.

With ``w = exp(-2πi/N)``, ``y_k = Σ_n x_n w^{kn}`` forwards and ``y_k = 1/N Σ_n x_n w^{-kn}`` back.
The transpose of a complex map, for gradients as pairs of real and imaginary parts, is its
conjugate: ``dx_n = Σ_k dy_k w^{-kn}``, which is N times the way back, and 1/N times forwards.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxpress.autodiff.moving import sum_rows
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import product, ranked, size, sizes, to_shape, upto, vector
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError


@GRADIENTS("DFT", since=20)
def _dft(at: Site) -> Tensor:
    op, x, dy = at.op, at.input(0), at.gradient
    axis = at.input(2) if at.has(2) else op.scalar(-2)
    axis = axis.cast(ir.DataType.INT64).reshape(1)
    own = op("Gather", x.sizes(), axis)
    inverse = bool(at.integer("inverse"))
    if inverse and at.integer("onesided"):
        full = _half(at, dy, op("Gather", dy.sizes(), axis), axis)
    else:
        length = at.input(1).cast(ir.DataType.INT64).reshape(1) if at.has(1) else own
        full = _back(dy, length, axis, inverse=inverse)
    more = own - op("Gather", full.sizes(), axis)
    fitted = op("Pad", full, op.concat([op.ints(0), more]), None, axis)
    parts = op("Slice", fitted, op.ints(0), x.size(-1), op.ints(-1))  # a real x has one
    return op.typed(parts.value, dy.dtype, x.shape)


def _back(dy: Tensor, length: Tensor, axis: Tensor, *, inverse: bool) -> Tensor:
    """Transform the other way; what a one-sided result leaves out counts as zeros."""
    op = dy.op
    number = length.cast(dy.dtype)
    other = op("DFT", dy, length.squeeze(0), axis.squeeze(0), inverse=int(not inverse))
    return op.typed(other.value, dy.dtype, None) * (1 / number if inverse else number)


def _half(at: Site, dy: Tensor, length: Tensor, axis: Tensor) -> Tensor:
    """The way back from one half of a symmetric spectrum, of which all but the ends count twice."""
    op, x = at.op, at.input(0)
    half = op("DFT", dy, length.squeeze(0), axis.squeeze(0), onesided=1)
    rank = op("Shape", x.sizes())
    last = (length / 2).squeeze(0)
    k = op("Range", op.scalar(0), last + 1, op.scalar(1))
    ends = op("Or", k.equal(0), (k * 2).equal(length))
    twice = (2 - ends.cast(ir.DataType.INT64)).cast(dy.dtype) / length.cast(dy.dtype)
    place = op("Where", axis < 0, axis + rank, axis)
    along = op("ScatterElements", op("Expand", op.ints(1), rank), place, op.ints(-1), axis=0)
    return op.typed(half.value, dy.dtype, None) * op("Reshape", twice, along)


@GRADIENTS("STFT")
def _stft(at: Site) -> Gradients:
    """Each frame is cut out, multiplied with the window, and transformed."""
    op, signal, dy = at.op, ranked(at.input(0), 3), ranked(at.gradient, 4)
    window = at.input(2) if at.has(2) else None
    if window is None and not at.has(3):
        raise ModelError(f"STFT {at.node.name!r} has neither a window nor a frame_length")
    length = at.input(3).reshape(1) if at.has(3) else at.input(2).size(0)
    length = length.cast(ir.DataType.INT64)
    frames = _back(dy, length, op.ints(2), inverse=False)
    batch, long, parts = sizes(signal)
    frames = op("Slice", frames, op.ints(0), vector(op, parts), op.ints(-1))
    frames = op.typed(frames.value, dy.dtype, (None,) * 4)
    number = size(dy, 1)
    begins = upto(number, op) * at.input(1).cast(ir.DataType.INT64)
    within = op("Range", op.scalar(0), length.squeeze(0), op.scalar(1))
    places = (begins.unsqueeze(1) + within).reshape(-1)
    dx = dw = None
    if at.needs(0):
        weighed = frames if window is None else frames * window.unsqueeze(1)
        rows = to_shape(weighed.transpose(1, 2, 0, 3), size(places, 0), product(op, [batch, parts]))
        summed = to_shape(sum_rows(rows, places, long), long, batch, parts)
        dx = summed.transpose(1, 0, 2)
    if window is not None and at.needs(2):
        seen = op("Gather", signal, places, axis=1)
        products = to_shape(seen, batch, number, length, parts) * frames
        dw = products.sum((0, 1, 3), keepdims=False).reshape_like(window)
    return dx, None, dw
