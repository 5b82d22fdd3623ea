"""Constants: values whose bytes are stored in the file, directly or behind plain nodes.

Exporters put `Identity`, `Cast`, `Transpose`, reshapes, `QuantizeLinear` or
`DequantizeLinear` between an initializer and its use; `stored_constant` looks
through them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import onnx_ir as ir

Shape: TypeAlias = tuple[int, ...]
Path: TypeAlias = tuple[ir.Node, ...]

STANDARD: Final = frozenset({"", "ai.onnx"})
FLOATS: Final = frozenset(
    {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
)
QUANTIZERS: Final = frozenset({"QuantizeLinear", "DequantizeLinear"})
PLAIN: Final = frozenset(
    {"Cast", "CastLike", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Operators that keep every element of their first input, and add none."""

_CONSTANT_ATTRIBUTES: Final[Mapping[str, type[np.generic] | None]] = {
    "value": None,
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def is_onnx(domain: str) -> bool:
    """Say whether operators of a domain belong to ONNX itself, ``ai.onnx.ml`` included."""
    return domain in STANDARD or domain.startswith("ai.onnx.")


def constant_tensor(value: ir.Value) -> ir.TensorProtocol | None:
    """Return the tensor that the file stores for `value`, None if there is none.

    An initializer that is also a graph input is no constant: a caller may override it.
    """
    if value.is_initializer():
        return None if value.is_graph_input() else value.const_value
    node = value.producer()
    if node is None or node.op_type != "Constant" or node.domain not in STANDARD:
        return None
    attribute = next(iter(node.attributes.values()), None)
    # Sparse tensors, strings and the attributes of a function's caller are not weights.
    if attribute is None or attribute.is_ref() or attribute.name not in _CONSTANT_ATTRIBUTES:
        return None
    # Not `ir.convenience.get_const_tensor`: it gives the tensor, which models share, a name.
    if attribute.name == "value":
        # Not `as_tensor`: asking whether something is a tensor takes longer than all the rest.
        tensor: ir.TensorProtocol = attribute.value
        return tensor
    return ir.Tensor(np.asarray(attribute.value, _CONSTANT_ATTRIBUTES[attribute.name]))


def is_constant(value: ir.Value) -> bool:
    """Say whether the bytes of `value` are stored in the file."""
    return constant_tensor(value) is not None


def stored_constant(
    value: ir.Value | None, bound: Mapping[ir.Value, ir.Value] | None = None
) -> tuple[ir.Value, Path] | None:
    """Return the stored tensor behind `value` and the nodes between, or None.

    Args:
        value: What a node reads.
        bound: For a node in the body of a function: what the call gives for each of
            the function's inputs.
    """
    bound = bound or {}
    path: list[ir.Node] = []
    while value is not None:
        value = bound.get(value, value)
        if is_constant(value):
            return value, tuple(reversed(path))
        node = value.producer()
        if node is None or not _passes_through(node, bound):
            return None
        path.append(node)
        value = node.inputs[0]
    return None


def _passes_through(node: ir.Node, bound: Mapping[ir.Value, ir.Value]) -> bool:
    """Say whether `node` hands on the elements of its first input, steered by constants only."""
    plain = node.op_type in PLAIN | QUANTIZERS and node.domain in STANDARD
    quantizer = node.op_type in QUANTIZERS and node.domain == "com.microsoft"
    # CastLike takes only the type of its second input, which may be an activation.
    sides = () if node.op_type == "CastLike" else node.inputs[1:]
    constant = (stored_constant(side, bound) is not None for side in sides if side is not None)
    return (plain or quantizer) and all(constant)


def arrives_as_float(value: ir.Value, path: Path) -> bool:
    """Say whether the constant `value` holds floating-point numbers at the end of `path`."""
    tensor = constant_tensor(value)
    dtype = ir.DataType.UNDEFINED if tensor is None else tensor.dtype
    for node in path:
        if node.op_type == "Cast":
            dtype = ir.DataType(node.attributes.get_int("to", dtype))
        elif node.op_type == "DequantizeLinear":
            dtype = ir.DataType.FLOAT
    return dtype.is_floating_point()


def stored_values(model: ir.Model) -> Iterator[tuple[ir.Value, ir.TensorProtocol]]:
    """Visit every value whose bytes are stored: initializers and Constants, at any depth."""
    for graph in (*model.graphs(), *model.functions.values()):
        if isinstance(graph, ir.Graph):
            for value in graph.initializers.values():
                if value.const_value is not None:
                    yield value, value.const_value
        for node in graph:
            tensor = constant_tensor(node.outputs[0]) if node.op_type == "Constant" else None
            if tensor is not None:
                yield node.outputs[0], tensor


def stored_tensor(value: ir.Value | None) -> ir.TensorProtocol | None:
    """Return the stored tensor behind `value`, as it is stored."""
    found = stored_constant(value)
    return constant_tensor(found[0]) if found else None


def integers(node: ir.Node, name: str) -> Sequence[int] | None:
    """Read a list that is an attribute in old operator sets and the second input in newer ones."""
    if name in node.attributes:
        return node.attributes[name].as_ints()
    tensor = stored_tensor(node.inputs[1] if len(node.inputs) > 1 else None)
    return None if tensor is None else [int(n) for n in np.atleast_1d(tensor.numpy())]


def shape_of(tensor: ir.TensorProtocol) -> Shape:
    """Return the shape of a tensor as plain integers."""
    return tuple(map(int, tensor.shape.numpy()))


def type_name(dtype: ir.DataType) -> str:
    """Return the name of an element type as numpy spells it: ``float32``, ``int8``."""
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(dtype.name, dtype.name.lower())


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """Return the bodies of a node: the branches of an If, the body of a Loop."""
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()
