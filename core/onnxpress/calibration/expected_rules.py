"""What operators make of the mean and variance of channels: one rule per operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Final, Protocol, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.calibration.moments import Vector
from onnxpress.data.batch import Array
from onnxpress.graph.constants import integers, stored_constant, stored_tensor
from onnxpress.graph.layer_rules import integer

_MATRIX: Final = 2  # axes of what Gemm and a flattened image have


@dataclass(frozen=True, eq=False, slots=True)
class Spread:
    """Mean and variance of the channels of a tensor; NaN where they are not known.

    Attributes:
        mean: Of each channel.
        variance: Of each channel; zero for one that never changes.
        axis: The axis that counts channels.
    """

    mean: Vector
    variance: Vector
    axis: int = 1


class Known(Protocol):
    """What rules ask: what is known of other tensors."""

    def of(self, value: ir.Value | None) -> Spread | None:
        """Return mean and variance of a value, None if nothing is known."""

    def shape(self, value: ir.Value | None) -> tuple[int | None, ...] | None:
        """Return the shape of a value; None for axes that differ from run to run."""

    def array(self, value: ir.Value | None) -> Array | None:
        """Return the elements of a value if they are stored, or follow from fixed sizes."""


Rule: TypeAlias = Callable[[Known, ir.Node], Spread | None]


def _batch_norm(known: Known, node: ir.Node) -> Spread | None:
    """β and γ²; of a channel that never changes, what is made of that constant."""
    arrays = [_array(value) for value in node.inputs[1:5]]
    if any(array is None for array in arrays):
        return None
    scale, bias, mean, variance = (a for a in arrays if a is not None)
    before = known.of(node.inputs[0])
    if before is None or before.axis != 1:
        return Spread(bias, scale**2)
    dead = before.variance == 0
    deviation = np.sqrt(variance + node.attributes.get_float("epsilon", 1e-5))
    constant = bias + scale * (before.mean - mean) / deviation
    return Spread(np.where(dead, constant, bias), np.where(dead, 0, scale**2))


def _product(_known: Known, node: ir.Node) -> Spread | None:
    """What a channel with no weight but its bias gives; nothing is known of the others."""
    weight = _array(node.inputs[1])
    if weight is None or weight.ndim < _MATRIX:
        return None
    rows = node.op_type == "Conv" or integer(node, "transB", 0)
    rest = tuple(range(1, weight.ndim)) if rows else tuple(range(weight.ndim - 1))
    dead = (weight == 0).all(rest)
    bias = _array(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else 0.0  # noqa: PLR2004
    if bias is None or (np.ndim(bias) and np.size(bias) not in {1, dead.size}):
        return None
    constant = np.ravel(bias) * node.attributes.get_float("beta", 1.0) + np.zeros(dead.size)
    axis = weight.ndim - 1 if node.op_type == "MatMul" else 1
    return Spread(np.where(dead, constant, np.nan), np.where(dead, 0.0, np.nan), axis)


def _sum(known: Known, node: ir.Node) -> Spread | None:
    """The sum of tensors that have nothing to do with each other."""
    found = [known.of(value) for value in node.inputs]
    parts = [part for part in found if part is not None]
    same = {(part.axis, part.mean.size) for part in parts}
    if len(parts) < len(found) or len(same) != 1:
        return None
    sign = -1 if node.op_type == "Sub" else 1
    mean = parts[0].mean + sign * sum(part.mean for part in parts[1:])
    return Spread(mean, np.sum([part.variance for part in parts], 0), parts[0].axis)


def _average(known: Known, node: ir.Node) -> Spread | None:
    """Averages over positions keep the mean; how much they vary is not known."""
    found = known.of(node.inputs[0])
    if found is None or found.axis != 1 or not _averages_inside(node):
        return None
    return Spread(found.mean, np.where(found.variance == 0, 0, np.nan))


def _averages_inside(node: ir.Node) -> bool:
    """Say whether a node averages over positions only, and over no padding."""
    if node.op_type == "ReduceMean":
        axes = integers(node, "axes")
        return axes is not None and (min(axes) > 1 or sorted(axes) == [-2, -1])
    pads = node.attributes.get("pads")
    padded = pads is not None and any(pads.as_ints())
    return not (padded and integer(node, "count_include_pad", 0))


def _flat(known: Known, node: ir.Node) -> Spread | None:
    """Every channel as often as it has positions; or the same axes with fewer ones behind."""
    found, before = known.of(node.inputs[0]), known.shape(node.inputs[0])
    after = known.shape(node.outputs[0])
    if found is None or found.axis != 1 or before is None or after is None:
        return None
    sizes = [size for size in (*before[2:], *after[1:]) if isinstance(size, int)]
    if len(sizes) < len(before[2:]) + len(after[1:]) or len(after) < _MATRIX:
        return None
    positions, channels = prod(sizes[: len(before[2:])]), found.mean.size
    if prod(sizes[len(before[2:]) :]) != channels * positions:  # samples are mixed too
        return None
    if after[1] == channels:
        return found
    if len(after) != _MATRIX:
        return None
    return Spread(np.repeat(found.mean, positions), np.repeat(found.variance, positions))


def _turned(known: Known, node: ir.Node) -> Spread | None:
    found, order = known.of(node.inputs[0]), node.attributes.get("perm")
    if found is None or order is None:
        return None
    return Spread(found.mean, found.variance, list(order.as_ints()).index(found.axis))


def _joined(known: Known, node: ir.Node) -> Spread | None:
    """Channels one after the other; those of which nothing is known are NaN."""
    axis, parts = node.attributes.get_int("axis", 1), []
    for value in node.inputs:
        shape, found = known.shape(value), known.of(value)
        size = None if shape is None or axis >= len(shape) else shape[axis]
        if not isinstance(size, int) or axis != 1:
            return None
        nothing = np.full(size, np.nan)
        parts.append(found if found and found.axis == axis else Spread(nothing, nothing))
    mean, variance = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("mean", "variance")
    )
    return Spread(mean, variance)


def _padded(known: Known, node: ir.Node) -> Spread | None:
    """Channels of a constant before and behind; none where positions are padded too."""
    found, pads = known.of(node.inputs[0]), _numbers(known, node, 1)
    others = [_array(value) for value in node.inputs[2:3] if value is not None]
    if found is None or pads is None or len(node.inputs) > 3 or None in others:  # noqa: PLR2004
        return None
    rank = len(pads) // 2
    if any(n for i, n in enumerate(pads) if i % rank != found.axis) or min(pads) < 0:
        return None
    if node.attributes.get_string("mode", "constant") != "constant":
        return None
    number = float(others[0].item()) if others and others[0] is not None else 0.0
    around = pads[found.axis], pads[found.axis + rank]
    mean = np.pad(found.mean, around, constant_values=number)
    return Spread(mean, np.pad(found.variance, around), found.axis)


def _sliced(known: Known, node: ir.Node) -> Spread | None:
    """Some of the positions of every channel; they are alike."""
    found = known.of(node.inputs[0])
    axes = _numbers(known, node, 3)
    if found is None or found.axis != 1 or axes is None or min(axes) <= 1:
        return None
    return found


def _numbers(known: Known, node: ir.Node, index: int) -> list[int] | None:
    """Return the integers that a node reads, if they are known and there are any."""
    array = known.array(node.inputs[index]) if index < len(node.inputs) else None
    return None if array is None else [int(n) for n in array.reshape(-1)] or None


def _array(value: ir.Value | None) -> Array | None:
    """Return a stored tensor that a node reads as it is stored, in double precision."""
    found = stored_constant(value)
    tensor = None if found is None or found[1] else stored_tensor(value)
    return None if tensor is None else np.asarray(tensor.numpy(), np.float64)


RULES: Final[Mapping[str, Rule]] = {
    "BatchNormalization": _batch_norm,
    **dict.fromkeys(["Conv", "Gemm", "MatMul"], _product),
    **dict.fromkeys(["Add", "Sub", "Sum"], _sum),
    **dict.fromkeys(["AveragePool", "GlobalAveragePool", "ReduceMean"], _average),
    **dict.fromkeys(["Flatten", "Reshape", "Squeeze"], _flat),
    "Transpose": _turned,
    "Concat": _joined,
    "Pad": _padded,
    "Slice": _sliced,
}
