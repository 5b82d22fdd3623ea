"""What a builder knows of the types of the nodes it adds: enough for most rules.

Elementwise operators follow broadcasting, and some others are as plain.  The rest stays
unknown; rules that need more say it themselves, with `Builder.typed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import onnx_ir as ir

from onnxpress.graph.types import Dim, TensorType, type_of

_SAME: Final = frozenset(
    {"Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Clip", "Cos"}
    | {"Cosh", "CumSum", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish"}
    | {"Identity", "LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "PRelu", "Reciprocal"}
    | {"Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus"}
    | {"Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Trilu"}
    | {"ScatterElements", "ScatterND", "ReverseSequence"}
)
_BROADCAST: Final = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mod", "Sum"})
_BOOLEAN: Final = frozenset(
    {"And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Or", "Xor"}
)


def typed_by(node: ir.Node) -> None:
    """Give the first output of a node the type that follows from its inputs, where it is plain."""
    found = _type(node)
    if found is not None:
        value = node.outputs[0]
        value.type = None if found.dtype is None else ir.TensorType(found.dtype)
        value.shape = None if found.shape is None else ir.Shape(found.shape)


def _type(node: ir.Node) -> TensorType | None:
    if node.domain or not node.inputs or node.inputs[0] is None:
        return None
    op, first = node.op_type, type_of(node.inputs[0])
    if op in _SAME:
        return first
    if op == "Cast":
        return TensorType(ir.DataType(node.attributes["to"].as_int()), first.shape)
    if op in {"Not", "IsNaN", "IsInf"}:
        return TensorType(ir.DataType.BOOL, first.shape)
    types = [type_of(value) for value in node.inputs if value is not None]
    if op in _BROADCAST:
        return TensorType(first.dtype, broadcast([t.shape for t in types]))
    if op in _BOOLEAN:
        return TensorType(ir.DataType.BOOL, broadcast([t.shape for t in types]))
    if op == "Where":
        return TensorType(types[1].dtype, broadcast([t.shape for t in types]))
    return _shaped(node, first)


def _shaped(node: ir.Node, first: TensorType) -> TensorType | None:
    op, rank = node.op_type, None if first.shape is None else len(first.shape)
    if op == "Shape":
        start, end = (node.attributes.get_int(k, d) for k, d in (("start", 0), ("end", None)))
        axes = None if rank is None else len(range(rank)[slice(start, end)])
        return TensorType(ir.DataType.INT64, None if axes is None else (axes,))
    if op == "Size":
        return TensorType(ir.DataType.INT64, ())
    if op == "NonZero":
        return TensorType(ir.DataType.INT64, (rank, None))
    if op == "Transpose" and first.shape is not None:
        perm = node.attributes.get("perm")
        order = perm.as_ints() if perm else range(len(first.shape))[::-1]
        return TensorType(first.dtype, tuple(first.shape[axis] for axis in order))
    if op in {"Reshape", "Expand"}:
        return TensorType(first.dtype, _target(node, first))
    if op.startswith("Reduce"):
        return TensorType(first.dtype, _reduced(node, first))
    if op == "GatherElements":
        return TensorType(first.dtype, type_of(node.inputs[1]).shape)  # type: ignore[arg-type]
    if op in {"Unsqueeze", "Squeeze"} and first.shape is not None:
        return TensorType(first.dtype, _squeezed(node, first.shape))
    if op == "MatMul" and first.shape is not None:
        return TensorType(first.dtype, _product(first.shape, type_of(node.inputs[1]).shape))  # type: ignore[arg-type]
    return TensorType(first.dtype, None) if first.dtype and op not in _OTHERWISE else None


_OTHERWISE: Final = frozenset(
    {"ArgMax", "ArgMin", "ConstantOfShape", "DequantizeLinear", "OneHot"}
    | {"QuantizeLinear", "EyeLike", "If", "Loop", "Scan", "DynamicQuantizeLinear"}
)


def broadcast(shapes: Sequence[tuple[Dim, ...] | None]) -> tuple[Dim, ...] | None:
    """Return the shape that shapes broadcast to, as far as it can be told."""
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return None
    rank = max(map(len, known))
    padded = [(1,) * (rank - len(shape)) + shape for shape in known]
    return tuple(_joined(dims) for dims in zip(*padded, strict=True))


def _joined(dims: Sequence[Dim]) -> Dim:
    rest = {dim for dim in dims if dim != 1}
    numbers = [dim for dim in rest if isinstance(dim, int)]
    if numbers:
        return numbers[0]
    return rest.pop() if len(rest) == 1 else (None if rest else 1)


def _constant(node: ir.Node, index: int) -> list[int] | None:
    value = node.inputs[index] if len(node.inputs) > index else None
    tensor = None if value is None or value.is_graph_input() else value.const_value
    return None if tensor is None else [int(n) for n in tensor.numpy().reshape(-1)]


def _target(node: ir.Node, first: TensorType) -> tuple[Dim, ...] | None:
    sizes = _constant(node, 1)
    if sizes is None:
        return None
    if node.op_type == "Expand":
        return broadcast([first.shape, tuple(sizes)])
    kept = first.shape or ()
    dims: list[Dim] = [
        (kept[i] if i < len(kept) else None) if size == 0 else size for i, size in enumerate(sizes)
    ]
    if -1 in sizes:
        dims[sizes.index(-1)] = _rest(first.shape, dims)
    return tuple(dims)


def _rest(shape: tuple[Dim, ...] | None, dims: list[Dim]) -> Dim:
    """Return the size that a -1 in a Reshape stands for, if it can be told."""
    if shape is None:
        return None
    left = list(shape)
    size = 1
    for dim in dims:
        if dim == -1:
            continue
        if dim in left and not isinstance(dim, int):
            left.remove(dim)
        elif isinstance(dim, int):
            size *= dim
        else:
            return None
    if not all(isinstance(dim, int) for dim in left):
        return None
    total = 1
    for dim in left:
        total *= int(dim or 0)
    return total // size if size and total % size == 0 else None


def _reduced(node: ir.Node, first: TensorType) -> tuple[Dim, ...] | None:
    given = len(node.inputs) > 1 and node.inputs[1] is not None
    axes = _constant(node, 1) if given else []
    keep = node.attributes.get_int("keepdims", 1)
    every = axes == [] and not node.attributes.get_int("noop_with_empty_axes", 0)
    if first.shape is None:
        return () if every and not keep else None
    if every:
        axes = list(range(len(first.shape)))
    if axes is None:
        return (None,) * len(first.shape) if keep else None
    over = {axis % len(first.shape) for axis in axes}
    if keep:
        return tuple(1 if i in over else dim for i, dim in enumerate(first.shape))
    return tuple(dim for i, dim in enumerate(first.shape) if i not in over)


def _squeezed(node: ir.Node, shape: tuple[Dim, ...]) -> tuple[Dim, ...] | None:
    axes = _constant(node, 1)
    if axes is None:
        return None
    if node.op_type == "Squeeze":
        gone = {axis % len(shape) for axis in axes}
        return tuple(dim for i, dim in enumerate(shape) if i not in gone)
    rank = len(shape) + len(axes)
    new = {axis % rank for axis in axes}
    left = iter(shape)
    return tuple(1 if i in new else next(left) for i in range(rank))


def _product(a: tuple[Dim, ...], b: tuple[Dim, ...] | None) -> tuple[Dim, ...] | None:
    if b is None or not a or not b:
        return None
    rows: tuple[Dim, ...] = (a[-2],) if len(a) > 1 else ()
    columns: tuple[Dim, ...] = (b[-1],) if len(b) > 1 else ()
    batch = broadcast([a[:-2], b[:-2]])
    return None if batch is None else (*batch, *rows, *columns)
