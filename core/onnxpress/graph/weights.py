"""The stored tensors that layers read, and which of their axes means what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.data.batch import Array
from onnxpress.graph.axes import stored_axis
from onnxpress.graph.constants import (
    FLOATS,
    Path,
    Shape,
    constant_tensor,
    is_constant,
    shape_of,
    stored_constant,
    stored_tensor,
    type_name,
)

__all__ = [
    "FLOATS",
    "MULTIPLIED",
    "Role",
    "Weight",
    "find_weight",
    "is_constant",
    "stored_constant",
]

Role: TypeAlias = Literal["weight", "recurrence", "peephole", "bias", "scale", "mean", "variance"]

MULTIPLIED: Final = frozenset({"weight", "recurrence"})
"""The roles of kernels, matrices and tables: what papers count as weights."""

STATISTICS: Final = frozenset({"mean", "variance"})
_ZERO_POINT: Final = 2  # the input of QuantizeLinear whose type is the output's


@dataclass(frozen=True, slots=True)
class Weight:
    """One stored tensor that a layer reads.

    Two layers share a weight when their weights have the same `name`.

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
    path: Path
    output_axis: int | None
    input_axis: int | None

    @property
    def name(self) -> str:
        """The name of the stored tensor."""
        return self.value.name or ""

    @property
    def tensor(self) -> ir.TensorProtocol:
        """The stored tensor; external data is read only when its bytes are."""
        tensor = constant_tensor(self.value)
        assert tensor is not None  # it was when the weight was found
        return tensor

    @property
    def dtype(self) -> ir.DataType:
        """The stored element type."""
        return self.tensor.dtype

    @property
    def shape(self) -> Shape:
        """The stored shape."""
        return shape_of(self.tensor)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def trainable(self) -> bool:
        """Whether training may change it: stored as float, and no running statistic."""
        return self.dtype in FLOATS and self.role not in STATISTICS

    @property
    def precision(self) -> str:
        """The type that limits its values, as numpy spells it: ``float32``, ``int8``, ``int4``.

        That is the quantized type for floats that pass through ``QuantizeLinear``, and
        the stored type for all others.
        """
        rounded = (node for node in self.path if node.op_type == "QuantizeLinear")
        quantizer = next(rounded, None)
        return type_name(self.dtype if quantizer is None else _quantized_type(quantizer))

    def array(self) -> Array:
        """Return the stored elements; do not write to them."""
        return np.asarray(self.tensor.numpy())


def find_weight(
    role: Role,
    used_as: ir.Value | None,
    output_axis: int | None,
    input_axis: int | None,
    bound: Mapping[ir.Value, ir.Value] | None = None,
) -> Weight | None:
    """Return the weight behind a node's input, or None if it is computed or absent.

    Args:
        role: What the node uses it for.
        used_as: The node's input.
        output_axis: The axis of `used_as` that counts output channels, if any;
            a negative one counts from the end.
        input_axis: The same for input channels.
        bound: As for `stored_constant`.
    """
    found = stored_constant(used_as, bound)
    if found is None or used_as is None:
        return None
    value, path = found
    output, input_ = (stored_axis(axis, value, path) for axis in (output_axis, input_axis))
    return Weight(role, value, used_as, path, output, input_)


def _quantized_type(quantizer: ir.Node) -> ir.DataType:
    if wanted := quantizer.attributes.get_int("output_dtype", 0):
        return ir.DataType(wanted)
    zero_point = quantizer.inputs[_ZERO_POINT] if len(quantizer.inputs) > _ZERO_POINT else None
    tensor = stored_tensor(zero_point)
    return ir.DataType.UINT8 if tensor is None else tensor.dtype
