"""Parameters become inputs: of the graph that trains them, and of the one that tries them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.lifting import lift_constants
from onnxpress.errors import UsageError
from onnxpress.graph.constants import FLOATS, constant_tensor, shape_of, type_name

if TYPE_CHECKING:
    from onnxpress.data.batch import Array

_WIDE = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE})


def collect_constants(model: ir.Model) -> None:
    """Make every stored tensor, in bodies and in Constant nodes too, one of the main graph."""
    lift_constants(model)
    for node in [node for node in model.graph if node.op_type == "Constant"]:
        value = node.outputs[0]
        tensor = constant_tensor(value)
        if tensor is None or tensor.dtype == ir.DataType.STRING or value.is_graph_output():
            continue
        stored = ir.Value(name=value.name, shape=ir.Shape(shape_of(tensor)))
        # Not the tensor itself: it belongs to the model as well, and takes the name of a value.
        stored.const_value = ir.Tensor(tensor.numpy(), dtype=tensor.dtype, name=value.name)
        stored.type = ir.TensorType(tensor.dtype)
        value.replace_all_uses_with(stored)
        model.graph.remove(node)
        model.graph.register_initializer(stored)


def lift_parameters(graph: ir.Graph, names: Iterable[str]) -> dict[str, ir.Value]:
    """Turn stored tensors into inputs of the same names.

    Half-precision ones are given in float32, and cast where they are used, so that small
    steps are not rounded away.

    Args:
        graph: The main graph; changed in place.
        names: The stored tensors.

    Returns:
        The inputs by name, in order.

    Raises:
        UsageError: If a tensor holds no floats.
    """
    return {name: _lift(graph, name) for name in names}


def starts(graph: ir.Graph, names: Iterable[str]) -> dict[str, Start]:
    """Return what training begins with for each of some stored tensors."""
    return {name: Start.of(graph.initializers[name]) for name in names}


@dataclass(frozen=True, slots=True)
class Start:
    """A stored tensor as training begins with it; half precision is widened to float32."""

    tensor: ir.TensorProtocol
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, value: ir.Value) -> Start:
        """Return that of an initializer."""
        tensor = value.const_value
        assert tensor is not None  # parameters are stored
        wide = tensor.dtype.numpy() if tensor.dtype in _WIDE else np.dtype(np.float32)
        return cls(tensor, shape_of(tensor), wide)

    def array(self) -> Array:
        """Return a copy of the elements."""
        return np.array(self.tensor.numpy(), self.dtype, order="C")

    def zeros(self) -> Array:
        """Return zeros in its shape."""
        return np.zeros(self.shape, self.dtype)


def _lift(graph: ir.Graph, name: str) -> ir.Value:
    value = graph.initializers[name]
    dtype = value.dtype
    if dtype not in FLOATS:
        kind = "unknown" if dtype is None else type_name(dtype)
        raise UsageError(f"{name!r} holds {kind}; only floating-point tensors can be trained")
    del graph.initializers[name]
    value.const_value = None
    if dtype in _WIDE:
        graph.inputs.append(value)
        return value
    return _lift_half(graph, value, dtype)


def _lift_half(graph: ir.Graph, value: ir.Value, dtype: ir.DataType) -> ir.Value:
    wide = ir.Value(name=value.name, shape=value.shape, type=ir.TensorType(ir.DataType.FLOAT))
    to = ir.AttrInt64("to", int(dtype))
    cast = ir.Node("", "Cast", [wide], [to], num_outputs=1, name=f"{value.name} cast")
    half = cast.outputs[0]
    half.name, half.shape, half.type = cast.name, value.shape, value.type
    value.replace_all_uses_with(half)
    graph.inputs.append(wide)
    if len(graph):
        graph.insert_before(graph[0], cast)
    else:
        graph.append(cast)
    return wide


def with_results(model: ir.Model, arrays: Mapping[str, Array]) -> None:
    """Store trained values, each in the type that the model has for it, in place.

    Of several tensors of one name, in branches that can't see each other, the first is meant;
    it is the one that `collect_constants` leaves its name.
    """
    left = dict(arrays)
    for graph in model.graphs():
        for name, value in graph.initializers.items():
            if name in left:
                value.const_value = _as_stored(value, left.pop(name))
        for node in graph:
            name = (node.outputs[0].name if node.outputs else None) or ""
            if node.op_type == "Constant" and name in left:
                tensor = _as_stored(node.outputs[0], left.pop(name))
                node.attributes.clear()
                node.attributes.add(ir.AttrTensor("value", tensor))


def _as_stored(value: ir.Value, array: Array) -> ir.TensorProtocol:
    """Return an array as a tensor of the type that is stored for `value`."""
    tensor = constant_tensor(value)
    assert tensor is not None  # it was when training began
    stored = array.astype(tensor.dtype.numpy())
    stored[stored == 0] = 0  # times a mask, negative weights become -0.0, which does not pack
    return ir.Tensor(stored, dtype=tensor.dtype, name=value.name)
