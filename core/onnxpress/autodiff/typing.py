"""What a builder knows of the types of the nodes it adds: enough for most rules.

Elementwise operators follow broadcasting, and some others are as plain.  The rest stays
unknown; rules that need more say it themselves, with `Builder.typed`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import onnx_ir as ir

from onnxpress.graph.types import UNKNOWN, Dim, TensorType, type_of
from onnxpress.rules import RuleTable

_Inputs: TypeAlias = Sequence[TensorType]
_TypeRule: TypeAlias = Callable[[ir.Node, _Inputs], TensorType | None]
_TYPES: Final[RuleTable[_TypeRule]] = RuleTable("types of added nodes")

_OTHERWISE: Final = frozenset(
    {"ArgMax", "ArgMin", "ConstantOfShape", "DequantizeLinear", "OneHot"}
    | {"QuantizeLinear", "EyeLike", "If", "Loop", "Scan", "DynamicQuantizeLinear"}
)
"""Operators without a rule whose results are not of the type of their first input."""


def typed_by(node: ir.Node) -> None:
    """Give the first output of a node the type that follows from its inputs, where it is plain."""
    if node.domain or not node.inputs or node.inputs[0] is None:
        return
    inputs = [UNKNOWN if value is None else type_of(value) for value in node.inputs]
    found = (_TYPES.find(node.op_type) or _like_first)(node, inputs)
    if found is not None:
        value = node.outputs[0]
        value.type = None if found.dtype is None else ir.TensorType(found.dtype)
        value.shape = None if found.shape is None else ir.Shape(found.shape)


def _like_first(node: ir.Node, inputs: _Inputs) -> TensorType | None:
    dtype = inputs[0].dtype
    return TensorType(dtype, None) if dtype and node.op_type not in _OTHERWISE else None


@_TYPES("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Clip", "Cos")
@_TYPES("Cosh", "CumSum", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish")
@_TYPES("Identity", "LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "PRelu", "Reciprocal")
@_TYPES("Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus")
@_TYPES("Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Trilu")
@_TYPES("ScatterElements", "ScatterND", "ReverseSequence")
def _same(_node: ir.Node, inputs: _Inputs) -> TensorType:
    return inputs[0]


@_TYPES("Cast")
def _cast(node: ir.Node, inputs: _Inputs) -> TensorType:
    return TensorType(ir.DataType(node.attributes["to"].as_int()), inputs[0].shape)


@_TYPES("Not", "IsNaN", "IsInf")
def _boolean(_node: ir.Node, inputs: _Inputs) -> TensorType:
    return TensorType(ir.DataType.BOOL, inputs[0].shape)


@_TYPES("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mod", "Sum")
def _broadcast(_node: ir.Node, inputs: _Inputs) -> TensorType:
    return TensorType(inputs[0].dtype, broadcast([x.shape for x in inputs]))


@_TYPES("And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Or", "Xor")
def _comparison(_node: ir.Node, inputs: _Inputs) -> TensorType:
    return TensorType(ir.DataType.BOOL, broadcast([x.shape for x in inputs]))


@_TYPES("Where")
def _where(_node: ir.Node, inputs: _Inputs) -> TensorType:
    return TensorType(inputs[1].dtype, broadcast([x.shape for x in inputs]))


@_TYPES("Shape")
def _shape(node: ir.Node, inputs: _Inputs) -> TensorType:
    start, end = (node.attributes.get_int(k, d) for k, d in (("start", 0), ("end", None)))
    rank = _rank(inputs[0])
    axes = None if rank is None else len(range(rank)[slice(start, end)])
    return TensorType(ir.DataType.INT64, None if axes is None else (axes,))


@_TYPES("Size")
def _size(_node: ir.Node, _inputs: _Inputs) -> TensorType:
    return TensorType(ir.DataType.INT64, ())


@_TYPES("NonZero")
def _non_zero(_node: ir.Node, inputs: _Inputs) -> TensorType:
    return TensorType(ir.DataType.INT64, (_rank(inputs[0]), None))


@_TYPES("Transpose")
def _transpose(node: ir.Node, inputs: _Inputs) -> TensorType:
    dtype, shape = inputs[0].dtype, inputs[0].shape
    if shape is None:
        return TensorType(dtype, None)
    perm = node.attributes.get("perm")
    order = perm.as_ints() if perm else range(len(shape))[::-1]
    return TensorType(dtype, tuple(shape[axis] for axis in order))


@_TYPES("Reshape", "Expand")
def _reshape(node: ir.Node, inputs: _Inputs) -> TensorType:
    return TensorType(inputs[0].dtype, _target(node, inputs[0]))


@_TYPES("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean")
@_TYPES("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare")
def _reduce(node: ir.Node, inputs: _Inputs) -> TensorType:
    return TensorType(inputs[0].dtype, _reduced(node, inputs[0]))


@_TYPES("GatherElements")
def _gather_elements(_node: ir.Node, inputs: _Inputs) -> TensorType:
    return TensorType(inputs[0].dtype, inputs[1].shape)


@_TYPES("Unsqueeze", "Squeeze")
def _squeeze(node: ir.Node, inputs: _Inputs) -> TensorType:
    shape = inputs[0].shape
    return TensorType(inputs[0].dtype, None if shape is None else _squeezed(node, shape))


@_TYPES("MatMul")
def _matmul(_node: ir.Node, inputs: _Inputs) -> TensorType:
    a, b = inputs[0].shape, inputs[1].shape
    return TensorType(inputs[0].dtype, None if a is None else _product(a, b))


def _rank(x: TensorType) -> int | None:
    return None if x.shape is None else len(x.shape)


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
