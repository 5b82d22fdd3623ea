"""RoiAlign: averages of points inside regions, each point between four pixels.

The points of a region are a grid, so its average is a product: ``y[r, c] = U[r] x[b(r), c] V[r]ᵀ``
where row ``i`` of ``U[r]`` holds what the lines of pixels count in the ``i``-th line of bins, and
``V[r]`` the same for columns (He et al. 2017, https://arxiv.org/abs/1703.06870).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import onnx_ir as ir

from onnxpress.autodiff.moving import one_hot
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import product, ranked, size, sizes, to_shape, upto
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError

_X: Final = 0  # where a region (x1, y1, x2, y2) has its begin along each axis
_Y: Final = 1


@GRADIENTS("RoiAlign", since=16)
def _roi_align(at: Site) -> Gradients:
    """``dx[b] = Σ U[r]ᵀ dy[r] V[r]`` over the regions of image ``b``; none for the regions.

    Boxes count as constants, as in PyTorch's ``roi_align``.
    """
    if at.text("mode", "avg") != "avg":
        name = at.node.name or at.node.outputs[0].name
        raise ModelError(
            f"RoiAlign {name!r} takes the maximum; there is a gradient for the average "
            "only: use mode 'avg', or train what comes after it"
        )
    op, x = at.op, ranked(at.input(0), 4)
    count, channels, height, width = sizes(x)
    u, v = (_weights(at, axis, n) for axis, n in ((_Y, height), (_X, width)))
    across = op("MatMul", at.gradient, v.unsqueeze(1))  # region, channel, line of bins, width
    lines = to_shape(
        across.transpose(0, 2, 1, 3), _lines(at), product(op, [channels, width])
    )  # all lines of bins of all regions
    images = _images(at, count, u)
    dx = to_shape(op("MatMul", images, lines), count, height, channels, width)
    result = dx.transpose(0, 2, 1, 3)
    return op.typed(result.value, at.gradient.dtype, at.input(0).shape)


def _images(at: Site, count: int | Tensor, u: Tensor) -> Tensor:
    """Return for every image what each of its lines counts in each line of bins, others 0."""
    op, ids = at.op, at.input(2)
    number = op.scalar(count) if isinstance(count, int) else count.squeeze(0)
    if isinstance(count, int):
        own = one_hot(ids, count, u.dtype)
    else:
        own = op("Equal", op("Range", op.scalar(0), number, op.scalar(1)).unsqueeze(1), ids)
        own = own.cast(u.dtype)
    mine = op("Mul", own.unsqueeze(2, 3), u.unsqueeze(0))  # image, region, line of bins, line
    flat = to_shape(mine, count, _lines(at), size(ranked(at.input(0), 4), 2))
    return op("Transpose", flat, perm=[0, 2, 1])


def _lines(at: Site) -> int | Tensor:
    regions = size(ranked(at.input(1), 2), 0)
    return product(at.op, [regions, at.integer("output_height", 1)])


@dataclass(frozen=True)
class Grid:
    """Where regions begin along one axis, how long a bin is, and how many points it has.

    Attributes:
        begin: (regions, 1, 1).
        bin: Likewise.
        points: Likewise.
        most: The largest number of points, for all regions.
    """

    begin: Tensor
    bin: Tensor
    points: Tensor
    most: int | Tensor


def _grid(at: Site, axis: int, bins: int) -> Grid:
    op, boxes = at.op, at.input(1)
    half = at.text("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    scale = at.number("spatial_scale", 1.0)

    def edge(column: int) -> Tensor:
        found = op("Gather", boxes, op.ints(column), axis=1).unsqueeze(2) * scale
        return found - 0.5 if half else found

    begin = edge(axis)
    length = edge(axis + 2) - begin
    if not half:
        length = op("Max", length, op.constant(1.0, length.dtype))
    bin_ = length / bins
    ratio = at.integer("sampling_ratio")
    if ratio:
        return Grid(begin, bin_, op.constant(float(ratio), bin_.dtype), ratio)
    points = op("Max", op("Ceil", bin_), op.constant(1.0, bin_.dtype))
    most = op.reduce("ReduceMax", points, None, keepdims=False).cast(ir.DataType.INT64)
    return Grid(begin, bin_, points, most.reshape(1))


def _weights(at: Site, axis: int, length: int | Tensor) -> Tensor:
    """Return what every pixel along an axis counts in each bin, (regions, bins, pixels)."""
    op = at.op
    bins = at.integer("output_width" if axis == _X else "output_height", 1)
    grid = _grid(at, axis, bins)
    kind = grid.bin.dtype
    number = upto(bins, op).cast(kind).unsqueeze(1)
    point = upto(grid.most, op).cast(kind)
    # region, bin, point
    place = grid.begin + (number + (point + 0.5) / grid.points) * grid.bin
    last = float(length) if isinstance(length, int) else length.cast(kind)
    there = op("And", place >= -1, place <= last)
    if not at.integer("sampling_ratio"):
        there = op("And", there, point < grid.points)
    end = op.constant(last - 1, kind) if isinstance(last, float) else last - 1
    held = op("Max", op("Min", place, end), op.constant(0.0, kind)).unsqueeze(3)
    pixel = upto(length, op).cast(kind)
    near = op("Max", 1 - op("Abs", held - pixel), op.constant(0.0, kind))
    counted = near * (there.cast(kind) / grid.points).unsqueeze(3)
    summed = counted.sum((2,), keepdims=False)
    pixels = length if isinstance(length, int) else None
    return op.typed(summed.value, kind, (None, bins, pixels))
