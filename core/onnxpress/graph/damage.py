"""What is wrong with a damaged file that still parses: names that are no text, missing bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

import onnx
import onnx_ir as ir

from onnxpress.errors import ModelError
from onnxpress.graph.protos import subgraphs, tensors

_BYTE: Final = 8  # bits


def check_intact(proto: onnx.ModelProto) -> None:
    """Check what neither protobuf nor `onnx.checker` look at, and everything after relies on.

    Raises:
        ModelError: If a name is no text, or a tensor has not as many bytes as its shape says.
    """
    if any(isinstance(text, bytes) for text in _texts(proto)):
        raise ModelError("the model holds names that are no text (UTF-8); the file is damaged")
    for tensor in tensors(proto):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            _check_size(tensor)


def _check_size(tensor: onnx.TensorProto) -> None:
    shape = tuple(tensor.dims)
    try:
        dtype = ir.DataType(tensor.data_type)
        field = onnx.helper.tensor_dtype_to_field(dtype)
    except (ValueError, KeyError) as error:
        raise ModelError(
            f"tensor {tensor.name!r} is of an element type that onnxpress does not know "
            f"({tensor.data_type}); the file is damaged, or newer than onnxpress"
        ) from error
    needed = _entries(dtype, math.prod(shape))
    there = len(getattr(tensor, field))
    if tensor.HasField("raw_data"):
        needed, there = math.ceil(math.prod(shape) * dtype.bitwidth / 8), len(tensor.raw_data)
    if needed != there or min(shape, default=0) < 0:
        raise ModelError(
            f"tensor {tensor.name!r} of type {dtype.name} and shape {shape} should have {needed} "
            f"entries, but the file has {there}; it is damaged"
        )


def _entries(dtype: ir.DataType, size: int) -> int:
    """Return how many numbers stand for `size` elements where they are not raw bytes."""
    if dtype == ir.DataType.STRING or dtype.bitwidth >= _BYTE:
        return 2 * size if dtype in {ir.DataType.COMPLEX64, ir.DataType.COMPLEX128} else size
    return math.ceil(size * dtype.bitwidth / _BYTE)


def _texts(proto: onnx.ModelProto) -> Iterator[object]:
    """Yield everything that should be text."""
    yield from (proto.producer_name, proto.producer_version, proto.domain, proto.doc_string)
    for entry in proto.metadata_props:
        yield from (entry.key, entry.value)
    yield from _graph_texts(proto.graph)
    for function in proto.functions:
        yield from (function.name, function.domain, function.doc_string)
        yield from (*function.input, *function.output, *function.attribute)
        yield from _node_texts(function.node)
    for owner in (proto, *proto.functions):
        yield from (entry.domain for entry in owner.opset_import)


def _graph_texts(graph: onnx.GraphProto) -> Iterator[object]:
    yield from (graph.name, graph.doc_string)
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield from (value.name, value.doc_string)
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    for tensor in graph.initializer:
        yield from (tensor.name, tensor.doc_string)
    yield from _node_texts(graph.node)


def _node_texts(nodes: Iterable[onnx.NodeProto]) -> Iterator[object]:
    for node in nodes:
        yield from (node.name, node.op_type, node.domain, node.doc_string)
        yield from node.input
        yield from node.output
        for attribute in node.attribute:
            yield from (attribute.name, attribute.doc_string, attribute.ref_attr_name)
    for graph in subgraphs(nodes):
        yield from _graph_texts(graph)
