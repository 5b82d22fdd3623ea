"""Element types and shapes of all tensors, kept beside the graph rather than in it.

The graph that is saved stays as small as its author made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import onnx
import onnx_ir as ir
from onnx import shape_inference

from onnxpress.errors import OptionError, UnknownNameError
from onnxpress.graph.constants import STANDARD, constant_tensor
from onnxpress.graph.propagate import fill_gaps
from onnxpress.graph.protos import to_proto

if TYPE_CHECKING:
    from onnxpress.data.batch import Array

Dim: TypeAlias = int | str | None

# Shape inference reads small constants, such as the target of a Reshape; the others
# would only be copied, and protobuf takes no more than 2 GB.
_SMALL: Final = 1024


@dataclass(frozen=True, slots=True)
class TensorType:
    """What is known about a tensor; a dimension is a number, a symbol, or unknown."""

    dtype: ir.DataType | None
    shape: tuple[Dim, ...] | None

    @property
    def fixed(self) -> tuple[int, ...] | None:
        """The shape if all of it is numbers."""
        sizes = tuple(dim for dim in self.shape or () if isinstance(dim, int))
        return None if self.shape is None or len(sizes) < len(self.shape) else sizes


UNKNOWN: Final = TensorType(None, None)


def type_of(value: ir.Value) -> TensorType:
    """Return what the graph itself says of a value."""
    if value.shape is None:
        return TensorType(value.dtype, None)
    return TensorType(value.dtype, tuple(d if isinstance(d, int) else d.value for d in value.shape))


def infer_types(model: ir.Model, dims: Mapping[str, int] | None = None) -> Mapping[str, TensorType]:
    """Return what the file and shape inference say of every tensor, by name.

    Tensors of subgraphs are there too, those in the bodies of functions are not.  Where
    inference fails or does not know an operator, what is known otherwise remains.

    Args:
        model: The graph; it is left as it is.
        dims: If given, sizes for the symbolic dimensions of the inputs, by label (see
            `input_dims`); those not named count as 1.

    Raises:
        UnknownNameError: If `dims` names a dimension that no input has.
        OptionError: If a size is less than 1.
    """
    return infer_all(model, dims)[0]


def infer_all(
    model: ir.Model, dims: Mapping[str, int] | None = None
) -> tuple[Mapping[str, TensorType], Mapping[str, Array]]:
    """Return what `infer_types` does, and the elements of small tensors that follow from shapes.

    Args:
        model: As for `infer_types`.
        dims: As for `infer_types`.
    """
    copy = model.clone()
    if dims is not None:
        fix_dims(copy, dims)
    _move_big_tensors_out(copy)
    proto = to_proto(copy)
    types = _read(proto)
    inferred, data = _infer(proto)
    for name, found in _read(inferred).items():
        types[name] = _merge(found, types.get(name, UNKNOWN))
    return MappingProxyType(types), data


def fix_dims(model: ir.Model, dims: Mapping[str, int]) -> None:
    """Give all symbolic dimensions of the inputs a size, in place, and forget what followed.

    Args:
        model: The graph to change.
        dims: Sizes by label, see `input_dims`; a dimension that is not named becomes 1.

    Raises:
        UnknownNameError: If `dims` names a dimension that no input has.
        OptionError: If a size is less than 1.
    """
    labels = input_dims(model)
    _check_dims(dims, labels.values())
    for value in model.graph.inputs:
        if value.shape is not None:
            sizes = [labels.get((value.name, axis), dim) for axis, dim in enumerate(value.shape)]
            value.shape = ir.Shape([dims.get(s, 1) if isinstance(s, str) else s for s in sizes])
    for graph in model.graphs():
        for node in graph:
            for value in node.outputs:
                if value.shape is not None:
                    value.shape = _known_again(value.shape, node, dims)


def input_dims(model: ir.Model) -> dict[tuple[str | None, int], str]:
    """Return the label of every input dimension that is no number, by input and axis.

    The label is its symbol, ``batch``, or ``input[axis]`` where it has none.
    """
    return {
        (value.name, axis): dim.value or f"{value.name}[{axis}]"
        for value in model.graph.inputs
        if value.shape is not None and not value.is_initializer()
        for axis, dim in enumerate(value.shape)
        if not isinstance(dim, int)
    }


def assumed_dims(model: ir.Model, dims: Mapping[str, int]) -> tuple[str, ...]:
    """Return the labels of the input dimensions that `dims` does not name, each once."""
    return tuple(label for label in dict.fromkeys(input_dims(model).values()) if label not in dims)


def _check_dims(dims: Mapping[str, int], labels: Iterable[str]) -> None:
    known = set(labels)
    for label, size in dims.items():
        if label not in known:
            raise UnknownNameError("input dimension", label, known)
        if size < 1:
            raise OptionError(f"the size of dimension {label!r} must be at least 1, not {size}")


def _known_again(shape: ir.Shape, node: ir.Node, dims: Mapping[str, int]) -> ir.Shape | None:
    """Keep what inference can't find out again: the outputs of operators it does not know."""
    if node.domain in STANDARD:
        return None
    return ir.Shape([d if isinstance(d, int) else dims.get(d.value or "") for d in shape])


def _move_big_tensors_out(model: ir.Model) -> None:
    """Turn big constants into inputs of the main graph, which keep type and shape only."""
    names = {value.name for value in model.graph.inputs}
    for graph in list(model.graphs()):
        for value in list(_big_constants(graph)):
            tensor = constant_tensor(value) or value.const_value
            if tensor is None or value.name in names or value.is_graph_output():
                continue
            names.add(value.name)
            model.graph.inputs.append(_placeholder(graph, value, tensor))


def _big_constants(graph: ir.Graph) -> Iterator[ir.Value]:
    for value in graph.initializers.values():
        if value.const_value is not None and value.const_value.nbytes > _SMALL:
            yield value
    for node in graph:
        if node.op_type == "Constant" and len(node.outputs) == 1:
            tensor = constant_tensor(node.outputs[0])
            if tensor is not None and tensor.nbytes > _SMALL:
                yield node.outputs[0]


def _placeholder(graph: ir.Graph, value: ir.Value, tensor: ir.TensorProtocol) -> ir.Value:
    stand_in = ir.Value(
        name=value.name,
        shape=ir.Shape(tensor.shape.numpy()),
        type=ir.TensorType(tensor.dtype),
    )
    value.replace_all_uses_with(stand_in)
    node = value.producer()
    if node is not None:
        graph.remove(node)
    else:
        graph.initializers.pop(value.name or "")
    return stand_in


def _infer(proto: onnx.ModelProto) -> tuple[onnx.ModelProto, Mapping[str, Array]]:
    # Where inference fails, what the file itself says is still worth having.
    with suppress(shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError):
        proto = shape_inference.infer_shapes(
            proto, check_type=False, strict_mode=False, data_prop=True
        )
    return proto, fill_gaps(proto)


def _read(proto: onnx.ModelProto) -> dict[str, TensorType]:
    types: dict[str, TensorType] = {}
    for graph in _graphs(proto.graph):
        for name, found in _named_types(graph):
            # Branches of an If may use one name for different tensors.
            types[name] = found if types.get(name, found) == found else UNKNOWN
    return types


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            inner: Iterable[onnx.GraphProto] = (
                [attribute.g] if attribute.HasField("g") else attribute.graphs
            )
            for subgraph in inner:
                yield from _graphs(subgraph)


def _named_types(graph: onnx.GraphProto) -> Iterator[tuple[str, TensorType]]:
    for tensor in graph.initializer:
        yield tensor.name, TensorType(ir.DataType(tensor.data_type), tuple(tensor.dims))
    stored = {tensor.name for tensor in graph.initializer}
    seen: dict[str, TensorType] = {}
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.name not in stored:
            seen[info.name] = _merge(_proto_type(info.type), seen.get(info.name, UNKNOWN))
    yield from seen.items()


def _proto_type(proto: onnx.TypeProto) -> TensorType:
    if not proto.HasField("tensor_type"):  # a sequence, an optional or a map
        return UNKNOWN
    tensor = proto.tensor_type
    dtype = ir.DataType(tensor.elem_type) if tensor.elem_type else None
    if not tensor.HasField("shape"):
        return TensorType(dtype, None)
    return TensorType(dtype, tuple(map(_dim_of, tensor.shape.dim)))


def _dim_of(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    if dim.HasField("dim_value"):
        return dim.dim_value if dim.dim_value >= 0 else None  # some exporters write -1
    return dim.dim_param or None


def _merge(first: TensorType, second: TensorType) -> TensorType:
    """Add to `first` what only `second` knows."""
    shape = first.shape
    if shape is None or second.shape is None or len(shape) != len(second.shape):
        shape = second.shape if shape is None else shape
    else:
        shape = tuple(map(_more, shape, second.shape))
    return TensorType(second.dtype if first.dtype is None else first.dtype, shape)


def _more(first: Dim, second: Dim) -> Dim:
    if isinstance(first, int) or second is None:
        return first
    return second if first is None or isinstance(second, int) else first
