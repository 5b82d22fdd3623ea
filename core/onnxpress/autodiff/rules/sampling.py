"""GridSample: values read between the pixels, weighted by how near those are.

Along each axis a point sees a few pixels (taps): 1 if it takes the nearest, 2 if it is linear, 4
if cubic.  The value is the sum over all combinations of taps of pixel times weights, so the
gradient of a pixel is the sum of the weights it was read with, and the gradient of a coordinate
comes from the slopes of the weights.  Out of range, coordinates are held at the border or
reflected first, unless the mode is cubic; then taps are, as ONNX Runtime and PyTorch do it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product as combinations
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.moving import sum_rows
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import product, size, sizes, to_shape, upto, vector
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError

Length: TypeAlias = float | Tensor
"""How many pixels an axis has: a number, or computed, as a float."""


@GRADIENTS("AffineGrid")
def _affine_grid(at: Site) -> Tensor:
    """``grid = theta · (point, 1)`` for points that are the grid of the identity."""
    op, dy, theta, wanted = at.op, at.gradient, at.input(0), at.input(1)
    axes = None if theta.shape is None else theta.shape[1]
    if not isinstance(axes, int) and wanted.fixed:  # (N, C, and the sizes of the axes)
        axes = wanted.fixed[0] - 2
    if not isinstance(axes, int):
        raise ModelError(
            f"the gradient of AffineGrid {at.node.name!r} needs to know whether {theta.name!r} is "
            "2-D or 3-D; give it a shape (symbols will do)"
        )
    count = size(theta, 0)
    same = op.constant(np.eye(axes, axes + 1)[None], theta.dtype)
    same = op("Expand", same, vector(op, count, axes, axes + 1))
    aligned = at.integer("align_corners")
    points = op("AffineGrid", same, wanted, align_corners=aligned)
    points, arrived = (op("Reshape", t, vector(op, count, -1, axes)) for t in (points, dy))
    turned = op("Transpose", arrived, perm=(0, 2, 1))
    return op.concat([turned @ points, turned.sum((-1,))], axis=-1)


@dataclass(frozen=True)
class Tap:
    """A pixel that a point sees along one axis, for every point (N, points).

    Attributes:
        index: Which pixel.
        weight: How much it counts; 0 where there is none.
        slope: How fast that changes with the coordinate of the grid; None if it does not.
    """

    index: Tensor
    weight: Tensor
    slope: Tensor | None


@GRADIENTS("GridSample")
def _grid_sample(at: Site) -> Gradients:
    op, x, grid = at.op, at.input(0), at.input(1)
    if x.rank is None or grid.rank is None:
        raise ModelError(
            f"the gradient of GridSample {at.node.name!r} needs the number of axes of its inputs, "
            "which is unknown; give them shapes (symbols will do)"
        )
    count, channels, *lengths = sizes(x)
    points = product(op, sizes(grid, 1, -1))
    axes = [_taps(at, i, to_shape(_coordinate(at, i), count, points)) for i in range(len(lengths))]
    pixels, read = product(op, lengths), product(op, [count, points])
    dy = to_shape(at.gradient, count, channels, points).transpose(0, 2, 1)
    dy = to_shape(dy, read, channels)
    image = to_shape(x, count, channels, pixels).transpose(0, 2, 1)
    image = to_shape(image, product(op, [count, pixels]), channels)
    base = _times(upto(count, op), pixels).unsqueeze(1)
    ids: list[Tensor] = []
    rows: list[Tensor] = []
    slopes: list[list[Tensor]] = [[] for _ in lengths]
    for taps in combinations(*axes):
        place = _flat([tap.index for tap in taps], lengths, base)
        place = to_shape(place, read)
        if at.needs(0):
            ids.append(place)
            rows.append(dy * to_shape(_product([tap.weight for tap in taps]), read, 1))
        if at.needs(1) and taps[0].slope is not None:
            seen = (dy * op("Gather", image, place)).sum((-1,))
            for axis in range(len(taps)):
                slopes[axis].append(seen * to_shape(_slope(taps, axis), read, 1))
    dx = _image(at, rows, ids) if at.needs(0) else None
    return dx, _grid(at, slopes) if at.needs(1) else None


def _image(at: Site, rows: Sequence[Tensor], ids: Sequence[Tensor]) -> Tensor:
    """Add up what arrives at each pixel."""
    op, x = at.op, at.input(0)
    count, channels, *lengths = sizes(x)
    pixels = product(op, lengths)
    known = channels if isinstance(channels, int) else None
    joined = op.typed(op.concat(rows).value, rows[0].dtype, (None, known))
    places = op.typed(op.concat(ids).value, ir.DataType.INT64, (None,))
    table = sum_rows(joined, places, product(op, [count, pixels]))
    return to_shape(to_shape(table, count, pixels, channels).transpose(0, 2, 1), *sizes(x))


def _grid(at: Site, slopes: Sequence[Sequence[Tensor]]) -> Tensor:
    """Join the gradients of the coordinates; the last axis of the image comes first."""
    op, grid = at.op, at.input(1)
    if not slopes[0]:
        return op.zeros_like(grid)
    parts = [op.add(list(terms)) for terms in reversed(slopes)]
    return to_shape(op.concat(parts, axis=-1), *sizes(grid))


def _coordinate(at: Site, axis: int) -> Tensor:
    op, grid = at.op, at.input(1)
    last = len(at.input(0).shape or ()) - 3 - axis
    return op("Gather", grid, op.scalar(last), axis=-1)


def _taps(at: Site, axis: int, given: Tensor) -> list[Tap]:
    """Return what points see along one axis of the image, from -1 … 1 as the grid gives them."""
    length = _length(at, axis, given)
    aligned = bool(at.integer("align_corners"))
    scale = (length - 1) * 0.5 if aligned else length * 0.5
    place = (given + 1) * scale if aligned else (given + 1) * scale - 0.5
    mode = at.text("mode", "linear")
    if mode == "nearest":
        nearest = _into_range(at, at.op("Round", place), length)[0]
        return [_tap(at, nearest, None, None, length)]
    if mode == "cubic":
        first = at.op("Floor", place)
        found = _cubic(place - first)
        return [_tap(at, first + i, weight, s * scale, length) for i, weight, s in found]
    place, turn = _into_range(at, place, length)
    first, slope = at.op("Floor", place), turn * scale
    t = place - first
    return [
        _tap(at, first, 1 - t, -slope, length),
        _tap(at, first + 1, t, slope, length),
    ]


def _cubic(t: Tensor) -> list[tuple[int, Tensor, Tensor]]:
    """Return offset, weight and slope of Keys' four taps, with a = -3/4."""
    a = -0.75

    def near(s: Tensor) -> Tensor:
        return ((a + 2) * s - (a + 3)) * s * s + 1

    def far(s: Tensor) -> Tensor:
        return ((a * s - 5 * a) * s + 8 * a) * s - 4 * a

    def near_slope(s: Tensor) -> Tensor:
        return (3 * (a + 2) * s - 2 * (a + 3)) * s

    def far_slope(s: Tensor) -> Tensor:
        return (3 * a * s - 10 * a) * s + 8 * a

    return [
        (-1, far(t + 1), far_slope(t + 1)),
        (0, near(t), near_slope(t)),
        (1, near(1 - t), -near_slope(1 - t)),
        (2, far(2 - t), -far_slope(2 - t)),
    ]


def _tap(
    at: Site, index: Tensor, weight: Tensor | None, slope: Tensor | None, length: Length
) -> Tap:
    """Return a tap; pixels that are not there count for nothing, or stand for others."""
    op, padding = at.op, at.text("padding_mode", "zeros")
    if padding == "zeros":
        there = op("And", index >= 0, index <= length - 1).cast(index.dtype)
        weight = there if weight is None else weight * there
        slope = None if slope is None else slope * there
    elif padding == "reflection":
        index = _reflected(at, index, length)[0]
    held = op("Max", op("Min", index, _like(index, length - 1)), _like(index, 0.0))
    whole = held.cast(ir.DataType.INT64)
    return Tap(whole, op.filled(index, 1) if weight is None else weight, slope)


def _into_range(at: Site, place: Tensor, length: Length) -> tuple[Tensor, Tensor]:
    """Return where a coordinate ends up, and how fast that changes with it: 1, 0 or -1."""
    op, padding = at.op, at.text("padding_mode", "zeros")
    if padding == "zeros":
        return place, op.filled(place, 1)
    if padding == "reflection":
        return _reflected(at, place, length)
    low, high = _ends(at, length)
    inside = op("And", place >= low, place <= high).cast(place.dtype)
    held = op("Max", op("Min", place, _like(place, length - 1)), _like(place, 0.0))
    return place * inside + held * (1 - inside), inside


def _reflected(at: Site, place: Tensor, length: Length) -> tuple[Tensor, Tensor]:
    """Fold a coordinate back between the ends of the axis."""
    op = at.op
    low, high = _ends(at, length)
    between = high - low
    if isinstance(between, Tensor):
        between = op("Max", between, _like(place, 1.0))  # one pixel, corners aligned: stays put
    else:
        between = max(between, 1.0)
    period = between * 2.0
    t = place - low
    t = t - op("Floor", t / period) * period
    return between - op("Abs", t - between) + low, -op("Sign", t - between)


def _ends(at: Site, length: Length) -> tuple[float, Length]:
    return (0.0, length - 1) if at.integer("align_corners") else (-0.5, length - 0.5)


def _length(at: Site, axis: int, like: Tensor) -> Length:
    known = size(at.input(0), axis + 2)
    return float(known) if isinstance(known, int) else known.cast(like.dtype)


def _like(x: Tensor, number: Length) -> Tensor:
    return number if isinstance(number, Tensor) else x.op.constant(number, x.dtype)


def _flat(indices: Sequence[Tensor], lengths: Sequence[int | Tensor], base: Tensor) -> Tensor:
    """Return which row of the image, pixels of all images in order, an index along each axis is."""
    place = indices[0]
    for index, length in zip(indices[1:], lengths[1:], strict=True):
        place = _times(place, length) + index
    return place + base


def _times(x: Tensor, factor: int | Tensor) -> Tensor:
    return x * factor


def _product(factors: Sequence[Tensor]) -> Tensor:
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    return result


def _slope(taps: Sequence[Tap], axis: int) -> Tensor:
    """Return how fast the weight of a combination changes with one coordinate."""
    return _product([
        tap.slope if i == axis and tap.slope is not None else tap.weight
        for i, tap in enumerate(taps)
    ])  # fmt: skip
