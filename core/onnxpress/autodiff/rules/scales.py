"""The scales of quantization: one for a tensor, for each index of an axis, or for each block."""

from __future__ import annotations

import numpy as np

from onnxpress.autodiff.broadcasting import sum_to
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError


def spread(at: Site, scale: Tensor) -> Tensor:
    """Return scales (or zero points) in a shape that broadcasts to that of input 0."""
    axis = at.axis(1)
    if at.integer("block_size"):
        return at.op("Gather", scale, _block_of_each(at, axis), axis=axis)
    if scale.rank == 0:
        return scale
    rank = _floats(at).rank
    if axis >= 0 and rank is None:
        return at.op("Reshape", scale, _shape_at_run_time(at, axis))
    behind = -axis - 1 if rank is None else rank - axis - 1
    return scale.reshape(-1, *(1,) * behind)


def sum_to_scale(at: Site, gradient: Tensor) -> Tensor:
    """Sum a gradient in the shape of input 0 to that of the scale, in its element type."""
    scale = at.input(1)
    gradient = gradient.cast(scale.dtype)
    if at.integer("block_size"):
        return _sum_blocks(at, gradient)
    return sum_to(gradient, spread(at, scale)).reshape_like(scale)


def _floats(at: Site) -> Tensor:
    """Return the side that is not quantized: ONNX Runtime has no `Shape` of 4 bits."""
    return at.input(0) if at.node.op_type == "QuantizeLinear" else at.output()


def _shape_at_run_time(at: Site, axis: int) -> Tensor:
    """Return ``[-1, 1, …, 1]`` with a 1 for each axis behind `axis`."""
    op, sizes = at.op, _floats(at).sizes()
    behind = op("Max", op("Shape", sizes) - (axis + 1), op.ints(0))
    return op("Concat", op.ints(-1), op("Expand", op.ints(1), behind), axis=0)


def _block_of_each(at: Site, axis: int) -> Tensor:
    """Return the number of the block that each index of the axis belongs to."""
    op, x, block = at.op, _floats(at), at.integer("block_size")
    size = None if x.shape is None else x.shape[axis]
    if isinstance(size, int):
        return op.constant(np.arange(size) // block)
    end = op("Squeeze", x.size(axis))
    return op("Range", op.scalar(0), end, op.scalar(1)) / op.scalar(block)


def _sum_blocks(at: Site, gradient: Tensor) -> Tensor:
    """Fill the last block up with zeros, make blocks an axis of their own, and sum over it."""
    op, x, scale, block = at.op, _floats(at), at.input(1), at.integer("block_size")
    axis, rank = at.axis(1), x.rank
    if rank is None:
        raise ModelError(
            f"how many axes {x.name!r} has is unknown, and the gradient of {scale.name!r}, the "
            f"scale of blocks at {at.node.name!r}, needs it; give the shapes of all inputs"
        )
    before, behind = op.ints(*(0,) * (rank + axis)), op.ints(*(0,) * (rank - axis - 1))
    missing = scale.size(axis) * op.ints(block) - x.size(axis)
    full = op("Pad", gradient, op("Concat", before, missing, behind, axis=0))
    sizes = [scale.size(i) for i in range(rank)]
    shape = op.concat([*sizes[: axis + 1], op.ints(block), *sizes[axis + 1 :]])
    summed = op("Reshape", full, shape).sum((axis + 1,), keepdims=False)
    return op.typed(summed.value, scale.dtype, scale.shape)
