"""Folding: per-channel arithmetic behind a layer becomes part of its weights.

``Conv → BatchNormalization``, and the same written out as Mul, Add, Sub or Div with
one constant per channel, is one Conv with other weights.  ONNX Runtime folds too,
but not where a QuantizeLinear will stand between, nor for those who read the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.data.batch import Array
from onnxpress.graph.axes import used_shape
from onnxpress.graph.constants import QUANTIZERS, Shape
from onnxpress.graph.edit import Editor
from onnxpress.graph.layers import Layer
from onnxpress.graph.weights import Weight, find_weight
from onnxpress.rules import RuleTable

_WEIGHT: Final = 1
_BIAS: Final = 2


@dataclass(frozen=True, slots=True)
class Folded:
    """One node that became part of a layer's weights."""

    layer: str
    node: str
    op_type: str


@dataclass(frozen=True, slots=True)
class Affine:
    """``y = x · factor + shift``, with one number for each channel, float64 of shape (C)."""

    factor: Array
    shift: Array


ChannelConstant: TypeAlias = Callable[[int], "Array | None"]
"""Gives a constant input of the node as one float64 per channel; None if it is anything else."""

AffineRule: TypeAlias = Callable[[ir.Node, int, ChannelConstant], Affine | None]
"""Says what a node does to the layer's result, which is its input of the given index."""

AFFINE: Final[RuleTable[AffineRule]] = RuleTable("affine")


def fold_affine(edit: Editor) -> tuple[Folded, ...]:
    """Fold what follows every Conv, ConvTranspose and Gemm of the main graph into its weights.

    A layer stays as it is where its result is read elsewhere too, or its weights are
    computed, quantized already, or may be overridden by a caller.  Weights that other
    nodes read as well are copied.  Names of layers and of their final results stay.

    Args:
        edit: An editor; its graph changes in place, and its `layers` are out of date then.

    Returns:
        What was folded, in graph order.
    """
    return tuple(folded for layer in edit.layers for folded in _fold_into(edit, layer))


def effective_array(weight: Weight) -> Array | None:
    """Return a stored tensor as its layer reads it: cast, transposed and reshaped.

    None if it passes through a quantizer: then it is quantized already.
    """
    if any(node.op_type in QUANTIZERS for node in weight.path):
        return None
    array = weight.array()
    for place, node in enumerate(weight.path, start=1):
        array = _passed(array, node, used_shape(weight.value, weight.path[:place]))
    return array


def _passed(array: Array, node: ir.Node, shape: Shape | None) -> Array:
    if node.op_type == "Cast":
        return array.astype(ir.DataType(node.attributes["to"].as_int()).numpy())
    if node.op_type == "Transpose":
        perm = node.attributes.get("perm")
        return array.transpose(perm.as_ints() if perm else None)
    return array if shape is None else array.reshape(shape)


def _fold_into(edit: Editor, layer: Layer) -> Iterator[Folded]:
    shape = _Shape.of(layer)
    if shape is None or layer.calls or layer.node.graph is not edit.graph:
        return
    while (found := _next_affine(edit, layer.node, shape)) is not None:
        node, affine = found
        if not _absorb(edit, layer, shape, affine):
            return
        yield Folded(layer.name, node.name or "", node.op_type)
        layer.node.name = layer.node.name or layer.name  # its result gets another name
        _bypass(edit, layer.node, node)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where a layer's result and its weight keep the output channels."""

    channels: int
    axis: int  # of the result
    rank: int  # of the result
    groups: int  # of a ConvTranspose, whose weight counts inputs first; else 1
    weight_axis: int

    @classmethod
    def of(cls, layer: Layer) -> _Shape | None:
        kernel = used_shape(layer.weight.value, layer.weight.path)
        if kernel is None:
            return None
        if layer.op_type == "Conv":
            return cls(kernel[0], 1, len(kernel), 1, 0)
        if layer.op_type == "ConvTranspose":
            return cls(kernel[1] * layer.groups, 1, len(kernel), layer.groups, 1)
        attributes = layer.node.attributes
        plain = layer.op_type == "Gemm" and attributes.get_float("beta", 1.0) == 1.0
        if not plain or layer.weight.used_as is not layer.node.inputs[_WEIGHT]:
            return None
        axis = 0 if attributes.get_int("transB", 0) else 1
        return cls(kernel[axis], 1, 2, 1, axis)

    def beside_weight(self, factor: Array, weight: Shape) -> Array:
        """Shape one factor per output channel so that it multiplies the weight."""
        rest = (1,) * (len(weight) - 2)
        if self.weight_axis == 0:
            return factor.reshape(-1, 1, *rest)
        rows = np.repeat(factor.reshape(self.groups, -1), weight[0] // self.groups, axis=0)
        return rows.reshape(*rows.shape, *rest)

    def per_channel(self, value: ir.Value | None) -> Array | None:
        """Return a constant that broadcasts along the channels alone, as one float64 each."""
        constant = find_weight("bias", value, None, None)
        array = None if constant is None else effective_array(constant)
        if array is None or array.dtype.kind != "f" or array.ndim > self.rank:
            return None
        if array.size == 1:
            return np.full(self.channels, array.item(), np.float64)
        full = (1,) * (self.rank - array.ndim) + array.shape
        wanted = tuple(self.channels if i == self.axis else 1 for i in range(self.rank))
        return array.astype(np.float64).reshape(-1) if full == wanted else None


def _next_affine(edit: Editor, node: ir.Node, shape: _Shape) -> tuple[ir.Node, Affine] | None:
    """Return the node behind a layer, if it alone reads the result and does no more than scale."""
    output = node.outputs[0]
    if len(output.uses()) != 1 or output.is_graph_output():
        return None
    behind, side = next(iter(output.uses()))
    rule = AFFINE.find(behind.op_type, behind.domain, edit.graph.opset_imports.get(behind.domain))
    if rule is None or behind.graph is not edit.graph:
        return None
    flat = behind.op_type in _PER_CHANNEL
    affine = rule(behind, side, lambda index: _constant(behind, index, shape, flat=flat))
    return None if affine is None else (behind, affine)


def _constant(node: ir.Node, index: int, shape: _Shape, *, flat: bool) -> Array | None:
    """Read a constant that broadcasts with the result or, if `flat`, is a list of channels."""
    if flat:
        shape = _Shape(shape.channels, 0, 1, 1, 0)
    return shape.per_channel(node.inputs[index])


def _absorb(edit: Editor, layer: Layer, shape: _Shape, affine: Affine) -> bool:
    """Give the layer's weight and bias the factor and the shift; say whether that was possible."""
    node = layer.node
    weight = find_weight("weight", node.inputs[_WEIGHT], None, None)
    array = None if weight is None else effective_array(weight)
    bias = _bias(node, shape)
    if weight is None or array is None or array.dtype.kind != "f" or bias is None:
        return False
    scaled = array * shape.beside_weight(affine.factor, array.shape)
    shifted = bias * affine.factor + affine.shift
    kind = array.dtype
    with np.errstate(over="ignore"):
        scaled, shifted = scaled.astype(kind), shifted.astype(kind)
    if not (np.isfinite(scaled).all() and np.isfinite(shifted).all()):
        return False
    _replace(edit, node, _WEIGHT, scaled, weight.name)
    _replace(edit, node, _BIAS, shifted, f"{weight.name}_bias")
    return True


def _bias(node: ir.Node, shape: _Shape) -> Array | None:
    """Return the bias as float64, zeros where there is none, None if it is computed."""
    value = node.inputs[_BIAS] if len(node.inputs) > _BIAS else None
    if value is None:
        return np.zeros(shape.channels)
    if node.op_type == "Gemm":
        return shape.per_channel(value)
    return _Shape(shape.channels, 0, 1, 1, 0).per_channel(value)


def _replace(edit: Editor, node: ir.Node, index: int, array: Array, name: str) -> None:
    """Give a node another constant; one that nobody else reads keeps its name."""
    if index == len(node.inputs):
        node.resize_inputs(index + 1)
    old = node.inputs[index]
    if old is not None and old.is_initializer() and len(old.uses()) == 1:
        old.const_value = ir.Tensor(array, name=old.name)
        old.shape, old.type = ir.Shape(array.shape), ir.TensorType(old.const_value.dtype)
    else:
        node.replace_input_with(index, edit.constant(array, name))


def _bypass(edit: Editor, node: ir.Node, folded: ir.Node) -> None:
    """Take `folded` out; the result of `node` gets its name and its readers."""
    old, new = folded.outputs[0], node.outputs[0]
    name = old.name
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    edit.graph.remove(folded, safe=True)
    new.shape, new.type = old.shape or new.shape, old.type or new.type
    old.name, new.name = None, name
    edit.values[name or ""] = new


# The rules.

_PER_CHANNEL: Final = frozenset({"BatchNormalization"})


@AFFINE("BatchNormalization", since=9)
def _batch_norm(node: ir.Node, side: int, constant: ChannelConstant) -> Affine | None:
    # y = (x - mean) / sqrt(variance + epsilon) · scale + bias
    if side != 0 or node.attributes.get_int("training_mode", 0) == 1 or len(node.outputs) > 1:
        return None
    scale, bias, mean, variance = (constant(index) for index in (1, 2, 3, 4))
    if scale is None or bias is None or mean is None or variance is None:
        return None
    factor = scale / np.sqrt(variance + node.attributes.get_float("epsilon", 1e-5))
    return Affine(factor, bias - mean * factor)


@AFFINE("Mul")
def _mul(_node: ir.Node, side: int, constant: ChannelConstant) -> Affine | None:
    factor = constant(1 - side)
    return None if factor is None else Affine(factor, np.zeros_like(factor))


@AFFINE("Div")
def _div(_node: ir.Node, side: int, constant: ChannelConstant) -> Affine | None:
    divisor = constant(1) if side == 0 else None
    if divisor is None or not divisor.all():
        return None
    return Affine(1 / divisor, np.zeros_like(divisor))


@AFFINE("Add")
def _add(_node: ir.Node, side: int, constant: ChannelConstant) -> Affine | None:
    shift = constant(1 - side)
    return None if shift is None else Affine(np.ones_like(shift), shift)


@AFFINE("Sub")
def _sub(_node: ir.Node, side: int, constant: ChannelConstant) -> Affine | None:
    other = constant(1 - side)
    if other is None:
        return None
    sign = np.ones_like(other)
    return Affine(sign, -other) if side == 0 else Affine(-sign, other)
