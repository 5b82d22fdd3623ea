"""RotaryEmbedding: pairs of channels are turned by angles that depend on the position."""

from __future__ import annotations

from onnxpress.autodiff.broadcasting import sum_to
from onnxpress.autodiff.builder import attributes_of
from onnxpress.autodiff.moving import sum_rows
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import size, to_shape
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("RotaryEmbedding", since=23)
def _rotary(at: Site) -> Gradients:
    """``y1 = cos · x1 - sin · x2`` and ``y2 = sin · x1 + cos · x2`` for every pair of channels.

    So the gradient of `x` is `dy` turned back; those of the caches are
    ``dy1 · x1 + dy2 · x2`` and ``dy2 · x1 - dy1 · x2``, summed over heads.
    """
    dy, cos, sin = at.gradient, at.input(1), at.input(2)
    positions = at.input(3) if at.has(3) else None
    dx: Tensor | None = None
    if at.needs(0):
        turned = at.op("RotaryEmbedding", dy, cos, -sin, positions, **attributes_of(at.node))
        dx = at.op.typed(turned.value, dy.dtype, at.input(0).shape)
    if not (at.needs(1) or at.needs(2)):
        return dx
    (x1, x2), (d1, d2) = _pairs(at, at.input(0)), _pairs(at, dy)
    return dx, _cached(at, 1, d1 * x1 + d2 * x2), _cached(at, 2, d2 * x1 - d1 * x2)


def _pairs(at: Site, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and the second channel of all pairs, (batch, position, head, pair)."""
    op, count = at.op, at.input(1).size(-1)
    if heads := at.integer("num_heads"):  # (batch, position, channels of all heads)
        x = x.reshape(0, 0, heads, -1)
    else:
        x = x.transpose(0, 2, 1, 3)
    both, last = count + count, op.ints(-1)
    if at.integer("interleaved"):
        starts, ends, step = (op.ints(0), op.ints(1)), (both, both), op.ints(2)
    else:
        starts, ends, step = (op.ints(0), count), (count, both), op.ints(1)
    first, second = (op("Slice", x, *ends_, last, step) for ends_ in zip(starts, ends, strict=True))
    return first, second


def _cached(at: Site, index: int, gradient: Tensor) -> Tensor | None:
    """Sum over heads, and over the places that read the same row of a cache."""
    if not at.needs(index):
        return None
    cache, summed = at.input(index), gradient.sum((2,), keepdims=False)
    if not at.has(3):
        return sum_to(summed, cache)
    pairs = size(cache, -1)
    flat = to_shape(summed, -1, pairs)  # (batch · position, pair)
    shape = (None, pairs if isinstance(pairs, int) else None)
    rows = at.op.typed(flat.value, summed.dtype, shape)
    table = sum_rows(rows, at.input(3).reshape(-1), size(cache, 0))
    return at.op.typed(table.value, cache.dtype, cache.shape)
