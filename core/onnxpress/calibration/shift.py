"""Adding a constant to every output channel of a layer, wherever its bias is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from onnxpress.graph.constants import FLOATS, QUANTIZERS

if TYPE_CHECKING:
    from onnxpress.calibration.moments import Vector
    from onnxpress.data.batch import Array
    from onnxpress.graph.edit import Editor
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight

SHIFTABLE: Final = frozenset({"BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators whose output is linear in their bias."""

PLAIN: Final = frozenset({"bfloat16", "float16", "float32", "float64"})
"""Precisions of weights that are not quantized."""

_BIAS: Final = 2  # the input of Conv, ConvTranspose and Gemm
_CHANNELS_AT_1: Final = frozenset({"BatchNormalization", "Conv", "ConvTranspose"})


def shifted_output(layer: Layer) -> ir.Value:
    """Return the tensor that a layer gives, its bias included."""
    output = layer.node.outputs[0]
    if layer.added is None:
        return output
    add, _ = next(iter(output.uses()))
    return add.outputs[0]


def channel_axis(layer: Layer) -> int | None:
    """Return the axis of a layer's output that counts channels; None if there is none."""
    if layer.op_type in _CHANNELS_AT_1:
        return 1
    if layer.op_type not in SHIFTABLE or layer.weight.output_axis is None:
        return None
    right = layer.node.inputs[1] is layer.weight.used_as
    if layer.op_type == "Gemm":
        return 1 if right else 0
    return -1 if right else -2


def why_not_shifted(model: Model, layer: Layer) -> str | None:
    """Say why nothing can be added to a layer's output, None if something can."""
    if layer.op_type not in SHIFTABLE or channel_axis(layer) is None:
        return f"what {layer.op_type} gives does not move with a bias of its channels"
    if layer.calls or layer.node.graph is not model.ir.graph:
        return "it runs inside a function or a subgraph"
    bias = layer.added or layer.bias
    if bias is None:
        return _why_no_bias(layer)
    if bias.dtype not in FLOATS or any(node.op_type in QUANTIZERS for node in bias.path):
        return "its bias is quantized: compensate before quantizing"
    readers = sum(w.value is bias.value for other in model.layers for w in other.tensors)
    return "its bias is read elsewhere too" if max(readers, len(bias.value.uses())) > 1 else None


def _why_no_bias(layer: Layer) -> str | None:
    node = layer.node
    if len(node.inputs) > _BIAS and node.inputs[_BIAS] is not None:
        return "its bias is computed, or callers may override it"
    if layer.weight.precision not in PLAIN:
        return "it is quantized: compensate before quantizing"
    if layer.op_type == "Gemm" and node.attributes.get_float("beta", 1.0) == 0:
        return "it multiplies its bias by zero"
    return None


def shift(edit: Editor, layer: Layer, delta: Vector) -> None:
    """Add `delta` to the output channels of a layer; it gets a bias if it has none.

    Args:
        edit: The editor, changed in place.
        layer: A layer of that editor, which `why_not_shifted` has nothing against.
        delta: One number for every output channel.
    """
    beta = layer.node.attributes.get_float("beta", 1.0) if layer.op_type == "Gemm" else 1.0
    bias = layer.added or layer.bias
    if bias is not None and bias.output_axis is not None and bias.size == delta.size:
        edit.set_weight(bias, _sum(bias, delta / beta))
    elif bias is not None:  # one number for all channels
        array = np.broadcast_to(bias.array().reshape(-1), delta.shape) + delta / beta
        _set_bias(edit, layer, array.astype(bias.array().dtype))
    elif layer.op_type == "MatMul":
        _add_behind(edit, layer, delta)
    else:
        _set_bias(edit, layer, (delta / beta).astype(layer.weight.array().dtype))


def _sum(bias: Weight, delta: Vector) -> Array:
    old = bias.array()
    assert bias.output_axis is not None
    shape = [-1 if axis == bias.output_axis else 1 for axis in range(old.ndim)]
    return (old + delta.reshape(shape)).astype(old.dtype)


def _set_bias(edit: Editor, layer: Layer, array: Array) -> None:
    node = layer.node
    column = channel_axis(layer) == 0
    value = edit.constant(array[:, None] if column else array, f"{layer.weight.name}:bias")
    if len(node.inputs) <= _BIAS:
        node.resize_inputs(_BIAS + 1)
    node.replace_input_with(_BIAS, value)


def _add_behind(edit: Editor, layer: Layer, delta: Vector) -> None:
    column = channel_axis(layer) != -1
    array = delta.astype(layer.weight.array().dtype)
    value = edit.constant(array[:, None] if column else array, f"{layer.weight.name}:bias")
    insert_behind(edit, layer.node.outputs[0], "Add", value)


def insert_behind(edit: Editor, old: ir.Value, op_type: str, other: ir.Value) -> ir.Value:
    """Let everything that reads a computed tensor read ``op_type(tensor, other)`` instead.

    The result takes the name of the tensor, also as an output of the graph.
    """
    producer = old.producer()
    assert producer is not None
    assert old.name is not None
    name, users = old.name, list(old.uses())
    old.name = edit.unique(f"{name}:plain")
    node = edit.node(op_type, [old, other], f"{name}:{op_type}")
    edit.graph.insert_after(producer, node)
    new = node.outputs[0]
    new.name, new.type, new.shape = name, old.type, old.shape
    for user, index in users:
        user.replace_input_with(index, new)
    for index, output in enumerate(edit.graph.outputs):
        if output is old:
            edit.graph.outputs[index] = new
    edit.values[old.name], edit.values[name] = old, new
    return new
