"""Following an axis of a constant back through the nodes between its bytes and its use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import onnx_ir as ir

from onnxpress.graph.constants import Path, Shape, constant_tensor, integers, shape_of


def used_shape(value: ir.Value, path: Path) -> Shape | None:
    """Return the shape in which the constant `value` arrives at the end of `path`."""
    return _shapes(value, path)[-1]


def stored_axis(axis: int | None, value: ir.Value, path: Path) -> int | None:
    """Follow an axis of the tensor in use back through `path` to the stored tensor.

    Args:
        axis: An axis of the tensor in use; a negative one counts from its end.
        value: The stored tensor.
        path: The nodes between, from the stored tensor to its use.

    Returns:
        The non-negative axis of the stored tensor that holds exactly the same slices,
        or None if there is no such axis.
    """
    shapes = _shapes(value, path)
    last = shapes[-1]
    if axis is None or last is None or not -len(last) <= axis < len(last):
        return None
    found: int | None = axis % len(last)
    for node, before, after in zip(reversed(path), shapes[-2::-1], shapes[:0:-1], strict=True):
        if found is not None and before is not None and after is not None:
            found = _axis_before(node, found, before, after)
    return found


def _axis_before(node: ir.Node, axis: int, before: Shape, after: Shape) -> int | None:
    if node.op_type == "Transpose":
        return _permutation(node, len(before))[axis]
    # A reshape keeps the axis that has as many elements before it and is as long.
    at = math.prod(after[:axis]), after[axis]
    same = [i for i, size in enumerate(before) if (math.prod(before[:i]), size) == at]
    if axis in same:
        return axis
    return same[0] if len(same) == 1 else None


def _shapes(value: ir.Value, path: Path) -> list[Shape | None]:
    """Return the shape of the stored tensor and of the output of every node of `path`."""
    tensor = constant_tensor(value)
    shapes: list[Shape | None] = [None if tensor is None else shape_of(tensor)]
    for node in path:
        before = shapes[-1]
        reshape = _RESHAPES.get(node.op_type)
        shapes.append(before if before is None or reshape is None else reshape(node, before))
    return shapes


def _transposed(node: ir.Node, shape: Shape) -> Shape:
    return tuple(shape[axis] for axis in _permutation(node, len(shape)))


def _permutation(node: ir.Node, rank: int) -> Shape:
    perm = node.attributes.get("perm")
    return tuple(reversed(range(rank))) if perm is None else tuple(perm.as_ints())


def _reshaped(node: ir.Node, shape: Shape) -> Shape | None:
    wanted = integers(node, "shape")
    if wanted is None:
        return None
    keeps_zero = node.attributes.get_int("allowzero", 0) == 1
    sizes = [shape[i] if n == 0 and not keeps_zero else n for i, n in enumerate(wanted)]
    rest = math.prod(n for n in sizes if n != -1)
    return tuple(math.prod(shape) // max(rest, 1) if n == -1 else n for n in sizes)


def _flattened(node: ir.Node, shape: Shape) -> Shape:
    axis = node.attributes.get_int("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return math.prod(shape[:axis]), math.prod(shape[axis:])


def _squeezed(node: ir.Node, shape: Shape) -> Shape:
    axes = integers(node, "axes")
    if axes is None:
        return tuple(n for n in shape if n != 1)
    dropped = {axis % len(shape) for axis in axes}
    return tuple(n for i, n in enumerate(shape) if i not in dropped)


def _unsqueezed(node: ir.Node, shape: Shape) -> Shape | None:
    axes = integers(node, "axes")
    if axes is None:
        return None
    rank = len(shape) + len(axes)
    added, rest = {axis % rank for axis in axes}, iter(shape)
    return tuple(1 if i in added else next(rest) for i in range(rank))


_RESHAPES: Final[Mapping[str, Callable[[ir.Node, Shape], Shape | None]]] = {
    "Flatten": _flattened,
    "Reshape": _reshaped,
    "Squeeze": _squeezed,
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
}
