"""Operators that give the same elements another shape or order, or leave some out."""

from __future__ import annotations

import onnx_ir as ir

from onnxpress.autodiff.requests import requested
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import ranked, size, sizes, to_shape, vector
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def _reshape(at: Site) -> Tensor:
    x = at.input(0)
    if x.fixed is not None and 0 not in x.fixed:
        return at.gradient.reshape_like(x)
    result = at.op("Reshape", at.gradient, x.sizes(), allowzero=1)  # a batch may be empty
    return at.op.typed(result.value, at.gradient.dtype, x.shape)


@GRADIENTS("Transpose")
def _transpose(at: Site) -> Tensor:
    perm = at.ints("perm")
    if perm is None:
        return at.op("Transpose", at.gradient)
    return at.gradient.transpose(*sorted(range(len(perm)), key=perm.__getitem__))


@GRADIENTS("Expand")
def _expand(at: Site) -> Gradients:
    return [at.unbroadcast(at.gradient, 0)]


@GRADIENTS("Tile")
def _tile(at: Site) -> Tensor:
    """Every axis is split in (repeats, size); the repeats are summed over."""
    op, x, repeats = at.op, at.input(0), at.constant(1)
    if repeats is None or x.rank is None:
        return _tile_at_run_time(at)
    times = [int(n) for n in repeats]
    over = tuple(2 * i for i, n in enumerate(times) if n != 1)
    pairs = [part for n, own in zip(times, sizes(x), strict=True) for part in (n, own)]
    summed = to_shape(at.gradient, *pairs).sum(over)
    return to_shape(summed, *sizes(x)) if over else op.tensor(at.gradient.value)


def _tile_at_run_time(at: Site) -> Tensor:
    op, x = at.op, at.input(0)
    own = op("Shape", x)
    pairs = op("Concat", at.input(1).unsqueeze(1), own.unsqueeze(1), axis=1).reshape(-1)
    split = op("Reshape", at.gradient, pairs, allowzero=1)
    end = op("Size", pairs)
    over = op("Range", op.scalar(0), end, op.scalar(2))
    summed = op("ReduceSum", split, over, keepdims=0, noop_with_empty_axes=1)
    return op.typed(summed.value, at.gradient.dtype, x.shape)


@GRADIENTS("DepthToSpace")
def _depth_to_space(at: Site) -> Tensor:
    """Back to depth; mode CRD has the channel before the place within the block."""
    op, dy, block = at.op, at.gradient, at.integer("blocksize")
    deep = op("SpaceToDepth", dy, blocksize=block)
    if at.text("mode", "DCR") == "DCR":
        return deep
    x = ranked(at.input(0), 4)
    count, channels, *_ = sizes(ranked(dy, 4))
    height, width = sizes(x, 2)
    split = to_shape(deep, count, block * block, channels, height, width)
    return to_shape(split.transpose(0, 2, 1, 3, 4), *sizes(x))


@GRADIENTS("SpaceToDepth")
def _space_to_depth(at: Site) -> Tensor:
    """Back to space, in the same order of block and channel (opset 28 lets one choose)."""
    block, mode = at.integer("blocksize"), at.text("mode", "DCR")
    return at.op("DepthToSpace", at.gradient, blocksize=block, mode=mode)


@GRADIENTS("Trilu")
def _trilu(at: Site) -> Tensor:
    k = at.input(1) if at.has(1) else None
    return at.op("Trilu", at.gradient, k, upper=at.integer("upper", 1))


@GRADIENTS("ReverseSequence")
def _reverse_sequence(at: Site) -> Tensor:
    batch, time = at.integer("batch_axis", 1), at.integer("time_axis", 0)
    return at.op("ReverseSequence", at.gradient, at.input(1), batch_axis=batch, time_axis=time)


@GRADIENTS("Dropout")
def _dropout(at: Site) -> Tensor:
    """``y = x · mask / (1 - ratio)`` in training, ``y = x`` otherwise."""
    op, dy = at.op, at.gradient
    training = at.constant(2)
    if not at.has(2) or (training is not None and not training.any()):
        return dy
    ratio = at.input(1) if at.has(1) else op.constant(0.5, dy.dtype)
    kept = requested(at, 1, ir.DataType.BOOL, at.input(0).shape).cast(dy.dtype)
    scaled = dy * kept / (1 - ratio.cast(dy.dtype))
    return scaled if training is not None else op("Where", at.input(2), scaled, dy)


@GRADIENTS("Concat")
def _concat(at: Site) -> Gradients:
    """The gradient is split as the parts were joined."""
    axis, parts = at.integer("axis"), [x for x in at.x if x is not None]
    if len(parts) == 1:
        return at.gradient
    lengths = vector(at.op, *(_length(x, axis) for x in parts))
    pieces = at.op.many("Split", len(parts), at.gradient, lengths, axis=axis)
    known = zip(pieces, parts, strict=True)
    return [at.op.typed(piece.value, at.gradient.dtype, x.shape) for piece, x in known]


def _length(x: Tensor, axis: int) -> int | Tensor:
    """Return the size of an axis, whose rank may be unknown."""
    return size(x, axis) if x.rank is not None or axis >= 0 else x.size(axis)


@GRADIENTS("Split")
def _split(at: Site) -> Tensor:
    """The gradients of the parts joined; zeros for parts that nobody uses."""
    parts = [
        at.op.zeros_like(requested(at, i, at.input(0).dtype)) if dy is None else dy
        for i, dy in enumerate(at.dy)
    ]
    return at.op.concat(parts, axis=at.integer("axis"))
