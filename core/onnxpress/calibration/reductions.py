"""Nodes that reduce a tensor to its channels, and that give channels other moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import onnx_ir as ir

from onnxpress.errors import ModelError
from onnxpress.graph.types import TensorType

if TYPE_CHECKING:
    from onnxpress.graph.edit import Editor

NOTHING: Final = 1e-6
"""A ratio of variances below which one is next to nothing beside the other."""

_BY_RESHAPE: Final = {0: ([0, -1], [1]), 1: ([0, 0, -1], [0, 2])}


class Reduced(NamedTuple):
    """What a graph computes of a tensor in every batch; the values are in the main graph.

    Attributes:
        size: How many elements the tensor has.
        mean: The mean of every channel.
        variance: The variance of every channel.
        wide: The mean, so shaped that it broadcasts to `centred`; no output.
        centred: The tensor less its mean, with its axes joined; no output.
    """

    size: ir.Value
    mean: ir.Value
    variance: ir.Value
    wide: ir.Value
    centred: ir.Value


def reduce_channels(edit: Editor, value: ir.Value, axis: int, known: TensorType) -> Reduced:
    """Add what computes the moments of one tensor at the end of the graph, as outputs.

    Args:
        edit: The editor, changed in place.
        value: The tensor.
        axis: Its axis that counts channels; one other than 0, 1 and -1 needs a known rank.
        known: What is known of it: float64 is reduced in float64, all else in float32.

    Raises:
        ModelError: If the rank is needed and not known.
    """
    kind = precision(known)
    x = _node(edit, "Cast", value, to=int(kind))
    flat, over = _flattened(edit, x, known, axis)
    mean = _node(edit, "ReduceMean", flat, over, keepdims=1)
    off = _node(edit, "Sub", flat, mean)
    variance = _node(edit, "ReduceMean", _node(edit, "Mul", off, off), over, keepdims=0)
    plain = _node(edit, "Reshape", mean, _ints(edit, [-1]))
    size = _node(edit, "Size", value)
    for output in (plain, variance):
        output.type, output.shape = ir.TensorType(kind), ir.Shape([None])
    size.type, size.shape = ir.TensorType(ir.DataType.INT64), ir.Shape([])
    edit.graph.outputs.extend([size, plain, variance])
    return Reduced(size, plain, variance, mean, off)


def with_moments(
    edit: Editor, value: ir.Value, reduced: Reduced, mean: ir.Value, factor: ir.Value | None = None
) -> ir.Value:
    """Add what gives the channels of a tensor another mean and spread; return the new tensor.

    Args:
        edit: The editor, changed in place.
        value: The tensor; its element type is kept.
        reduced: What is computed of it.
        mean: A vector of the means to give it.
        factor: A vector to multiply the distances from the mean by; None leaves them.
    """
    shape = _node(edit, "Shape", reduced.wide)
    centred = reduced.centred
    if factor is not None:
        centred = _node(edit, "Mul", centred, _node(edit, "Reshape", factor, shape))
    moved = _node(edit, "Add", centred, _node(edit, "Reshape", mean, shape))
    whole = _node(edit, "Reshape", moved, _node(edit, "Shape", value))
    return _node(edit, "CastLike", whole, value)


def spread_factor(edit: Editor, wanted: ir.Value, reduced: Reduced) -> ir.Value:
    """Add what computes by which factor to spread channels so that they have a variance.

    Where one variance is next to nothing beside the other, as that of a channel that never
    changes, it is 1; see `comparable`.
    """
    small = _node(edit, "CastLike", edit.constant(np.array(NOTHING, np.float32), "small"), wanted)
    has = reduced.variance
    enough = [
        _node(edit, "Greater", one, _node(edit, "Mul", other, small))
        for one, other in ((has, wanted), (wanted, has))
    ]
    both = _node(edit, "And", *enough)
    one = _node(edit, "CastLike", edit.constant(np.array(1, np.float32), "one"), small)
    ratio = [_node(edit, "Where", both, variance, one) for variance in (wanted, has)]
    return _node(edit, "Sqrt", _node(edit, "Div", *ratio))


def _flattened(
    edit: Editor, x: ir.Value, known: TensorType, axis: int
) -> tuple[ir.Value, ir.Value]:
    """Return a view with one axis of channels, and the axes to reduce."""
    if axis in _BY_RESHAPE:
        shape, over = _BY_RESHAPE[axis]
        return _node(edit, "Reshape", x, _ints(edit, shape)), _ints(edit, over)
    if axis == -1:
        last = _node(edit, "Shape", x, start=-1)
        shape_ = _node(edit, "Concat", _ints(edit, [-1]), last, axis=0)
        return _node(edit, "Reshape", x, shape_), _ints(edit, [0])
    if known.shape is None:
        raise ModelError(
            f"the rank of {x.name!r} is not known, and so not which of its axes is {axis}"
        )
    rank = len(known.shape)
    return x, _ints(edit, [i for i in range(rank) if i != axis % rank])


def _node(edit: Editor, op_type: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
    node = edit.node(op_type, inputs, f"{inputs[0].name}:{op_type}", attributes)
    edit.graph.append(node)
    return node.outputs[0]


def _ints(edit: Editor, numbers: list[int]) -> ir.Value:
    return edit.constant(np.array(numbers, np.int64), "moments")


def precision(known: TensorType) -> ir.DataType:
    """Return in which precision to reduce a tensor: float64 for float64, else float32."""
    return known.dtype if known.dtype == ir.DataType.DOUBLE else ir.DataType.FLOAT
