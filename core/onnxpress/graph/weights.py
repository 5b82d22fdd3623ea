"""Constants behind a node's input: where the bytes are stored, and what lies between.

Exporters put `Identity`, `Cast`, `Transpose`, reshapes or `DequantizeLinear`
between an initializer and its use.  `Weight` follows them back, and says which
axis of the *stored* tensor is which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.data.batch import Array

Role: TypeAlias = Literal["weight", "recurrence", "bias", "scale", "mean", "variance"]

FLOATS: Final = frozenset(
    {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
)
_SAME_AXES: Final = frozenset({"Identity", "Cast", "DequantizeLinear"})
_RESHAPES: Final = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True, slots=True)
class Weight:
    """One stored tensor that a layer reads.

    Attributes:
        role: What the layer uses it for.
        value: The value whose bytes are stored: an initializer, or a Constant's output.
        used_as: What the layer's node reads; the same as `value` if nothing lies between.
        path: The nodes between, from the stored tensor to its use.
        output_axis: The axis of the stored tensor that counts output channels; None if
            there is none, or a reshape in between mixes it with others.
        input_axis: The same for input channels (of one group).
    """

    role: Role
    value: ir.Value
    used_as: ir.Value
    path: tuple[ir.Node, ...]
    output_axis: int | None
    input_axis: int | None

    @property
    def name(self) -> str:
        """The name of the stored tensor."""
        return self.value.name or ""

    @property
    def tensor(self) -> ir.TensorProtocol:
        """The stored tensor; external data is read only when its bytes are."""
        tensor = ir.convenience.get_const_tensor(self.value)
        assert tensor is not None  # it was when the weight was found
        return tensor

    @property
    def dtype(self) -> ir.DataType:
        """The stored element type."""
        return self.tensor.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The stored shape."""
        return tuple(self.tensor.shape.numpy())

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def trainable(self) -> bool:
        """Whether training may change it: a float tensor that is not dequantized."""
        return self.dtype in FLOATS

    def array(self) -> Array:
        """Return the stored elements; do not write to them."""
        return np.asarray(self.tensor.numpy())


def stored_constant(value: ir.Value | None) -> tuple[ir.Value, tuple[ir.Node, ...]] | None:
    """Return the stored tensor behind `value` and the nodes between, or None.

    An initializer that is also a graph input is no constant: a caller may override it.
    """
    path: list[ir.Node] = []
    while value is not None:
        if is_constant(value):
            return value, tuple(reversed(path))
        node = value.producer()
        if node is None or node.domain not in {"", "ai.onnx"}:
            return None
        if node.op_type not in _SAME_AXES | _RESHAPES | {"Transpose"}:
            return None
        if not all(is_constant(v) for v in node.inputs[1:] if v is not None):
            return None
        path.append(node)
        value = node.inputs[0]
    return None


def is_constant(value: ir.Value) -> bool:
    """Say whether the bytes of `value` are stored in the file."""
    if value.is_initializer():
        return not value.is_graph_input()
    node = value.producer()
    return node is not None and node.op_type == "Constant" and node.domain in {"", "ai.onnx"}


def stored_axis(axis: int | None, path: Sequence[ir.Node]) -> int | None:
    """Follow an axis of the tensor in use back through `path` to the stored tensor."""
    for node in reversed(path):
        if axis is None or node.op_type in _SAME_AXES:
            continue
        axis = _through_transpose(axis, node) if node.op_type == "Transpose" else None
    return axis


def _through_transpose(axis: int, node: ir.Node) -> int | None:
    perm = node.attributes.get("perm")
    if perm is not None:
        return int(perm.as_ints()[axis])
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    return None if shape is None else len(shape) - 1 - axis
