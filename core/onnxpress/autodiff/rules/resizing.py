"""Resize: a linear map along each axis, so the gradient is its transpose along each axis.

The matrix of an axis is what the node itself makes of an identity matrix; ONNX Runtime
computes it when the model is loaded if the sizes are known.
"""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from typing import Any, Final

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.along import apply_along
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import ranked, size, sizes, to_shape, vector
from onnxpress.autodiff.table import GRADIENTS
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError
from onnxpress.graph.types import Dim

_KEPT: Final = (
    "antialias",
    "coordinate_transformation_mode",
    "cubic_coeff_a",
    "exclude_outside",
    "mode",
    "nearest_mode",
)
"""Attributes that hold for one axis as they do for all."""


@GRADIENTS("Resize")
def _resize(at: Site) -> Tensor:
    x, dx = at.input(0), at.gradient
    given = at.input(3 if at.has(3) else 2).fixed
    if given is not None and at.ints("axes") is None:  # one number for each axis
        x, dx = ranked(x, given[0]), ranked(dx, given[0])
    if x.rank is None:
        raise ModelError(
            f"the gradient of Resize {at.node.name!r} needs the number of axes of "
            f"{x.name!r}, which is unknown; give it a shape (symbols will do)"
        )
    dx = ranked(dx, x.rank)
    axes = [axis % x.rank for axis in at.ints("axes") or range(x.rank)]
    repeats = {a: _repeats(at, i, a) for i, a in enumerate(axes)}
    dx = _summed(at, dx, {a: n for a, n in repeats.items() if n is not None and n > 1})
    for i, axis in reversed(list(enumerate(axes))):
        if repeats[axis] is None:
            dx = apply_along(dx, _matrix(at, i, axes).transpose(1, 0), axis)
    return at.op.typed(dx.value, dx.dtype, x.shape)


def _scale(at: Site, i: int, axis: int) -> float | None:
    """Return the scale of the i-th of the axes, None if it depends on the input."""
    scales, x, y = at.constant(2), at.input(0), at.output()
    if scales is not None and scales.size:
        return float(scales[i])
    if at.has(3) and x.shape is not None and y.shape is not None:
        length, wanted = x.shape[axis], y.shape[axis]
        if isinstance(length, int) and isinstance(wanted, int) and length:
            return wanted / length
    return None


def _repeats(at: Site, i: int, axis: int) -> int | None:
    """Return n if all that happens along an axis is that each element is repeated n times."""
    scale = _scale(at, i, axis)
    where = at.text("coordinate_transformation_mode", "half_pixel")
    if scale is None or scale != int(scale) or scale < 1 or where == "tf_crop_and_resize":
        return None
    if scale == 1:
        return 1
    rounding = at.text("nearest_mode", "round_prefer_floor")
    if at.text("mode", "nearest") != "nearest":
        return None
    if where == "asymmetric":  # element i comes from i / n
        exact = rounding == "floor" or (rounding == "round_prefer_floor" and scale == 2)  # noqa: PLR2004
    else:  # from (i + 1/2) / n - 1/2, less than 1/2 away from a whole number
        exact = where.startswith("half_pixel") and rounding.startswith("round")
    return int(scale) if exact else None


def _summed(at: Site, dy: Tensor, repeats: dict[int, int]) -> Tensor:
    """Sum over elements that were repeated; pooling is the fastest way where it fits."""
    if not repeats:
        return dy
    op, rank = at.op, len(at.input(0).shape or ())
    kernel = [repeats.get(axis, 1) for axis in range(2, rank)]
    if min(repeats) > 1 and len(kernel) in {2, 3}:
        pooled = op("AveragePool", dy, kernel_shape=kernel, strides=kernel) * prod(kernel)
        return op.typed(pooled.value, dy.dtype, _kept_sizes(dy, repeats))
    split: list[int | Tensor] = []
    over: list[int] = []
    x = at.input(0)
    for axis, own in enumerate(sizes(dy)):
        if axis in repeats:
            over.append(len(split) + 1)
            split += [size(x, axis), repeats[axis]]
        else:
            split.append(own)
    return to_shape(dy, *split).sum(tuple(over), keepdims=False)


def _kept_sizes(dy: Tensor, changed: Collection[int]) -> list[Dim]:
    return [None if i in changed else dim for i, dim in enumerate(dy.shape or ())]


def _matrix(at: Site, i: int, axes: list[int]) -> Tensor:
    """Return the matrix (new size, old size) of the i-th of the axes."""
    op, dtype = at.op, at.gradient.dtype
    if at.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        return _probed(at, i, axes).cast(dtype)
    length = size(at.input(0), axes[i])
    alone = to_shape(_identity(at, length), 1, 1, length, length)
    one = op.constant(np.ones(1, np.float32))
    roi = scales = wanted = None
    if at.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        begin, end = (_element(at.input(1), k).cast(one.dtype) for k in (i, len(axes) + i))
        zero = op.constant(np.zeros(1, np.float32))
        roi = op.concat([zero, zero, begin, zero, one, one, end, one])
    if at.has(3):
        wanted = vector(op, 1, 1, size(at.gradient, axes[i]), length)
    else:
        scales = op.concat([one, one, _element(at.input(2), i), one])
    resized = op("Resize", alone, roi, scales, wanted, **_kept(at))
    matrix = to_shape(resized, size(at.gradient, axes[i]), length)
    return matrix.cast(dtype)


def _probed(at: Site, i: int, axes: list[int]) -> Tensor:
    """The matrix of one axis when its scale depends on the other axes: resize all of them.

    A tensor that is the same along the others stays so, and is read at their first element.
    """
    op, count = at.op, len(axes)
    lengths = [size(at.input(0), axis) for axis in axes]
    alone = [n if k == i else 1 for k, n in enumerate(lengths)]
    flat = to_shape(_identity(at, lengths[i]), 1, lengths[i], *alone)
    whole = op("Expand", flat, vector(op, 1, lengths[i], *lengths))
    policy = at.text("keep_aspect_ratio_policy", "stretch")
    given: dict[str, Any] = {"axes": tuple(range(2, 2 + count)), "keep_aspect_ratio_policy": policy}
    resized = op("Resize", whole, None, None, at.input(3), **_kept(at), **given)
    others = [2 + k for k in range(count) if k != i]
    if others:
        begins, ends = ([n] * len(others) for n in (0, 1))
        resized = op("Slice", resized, op.ints(*begins), op.ints(*ends), op.ints(*others))
    new = size(at.gradient, axes[i])
    return to_shape(resized, lengths[i], new).transpose(1, 0)


def _identity(at: Site, length: int | Tensor) -> Tensor:
    op = at.op
    square = op("ConstantOfShape", vector(op, length, length))
    eye = op("EyeLike", square, dtype=int(ir.DataType.FLOAT))
    known = length if isinstance(length, int) else None
    return op.typed(eye.value, ir.DataType.FLOAT, (known, known))


def _element(numbers: Tensor, index: int) -> Tensor:
    return numbers.op("Gather", numbers, numbers.op.ints(index))


def _kept(at: Site) -> dict[str, Any]:
    return {name: at.node.attributes[name] for name in _KEPT if name in at.node.attributes}
