"""One spelling of what ONNX files may spell in several ways; done once, on reading.

`normalize` works on the protobuf, before `onnx_ir` sees it, because some of it
would not survive the way into `onnx_ir`; `to_proto` is the way back.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, MutableSequence
from typing import Final, TypeAlias

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from onnxpress.graph.history import drop_plain_source

# What onnx_ir has to say about a model, the checker says better; whoever sets up logging sees both.
logging.getLogger("onnx_ir").addHandler(logging.NullHandler())

_Nodes: TypeAlias = Iterable[onnx.NodeProto]
_Imports: TypeAlias = MutableSequence[onnx.OperatorSetIdProto]

_MAP_TYPE: Final = "onnxpress.type"  # where a value keeps a type that onnx_ir does not know
_FIRST_IR_WITH_OVERRIDABLE_INITIALIZERS: Final = 4


def normalize(proto: onnx.ModelProto) -> None:
    """Bring `proto` into the one spelling the graph model works with, in place.

    - The domain ``ai.onnx`` is spelled ``""``; of several imports of one domain the
      last counts, as in ONNX Runtime.
    - Below IR version 4 every initializer had to be listed as an input as well, and
      none could be overridden: there they are constants.
    - Sparse tensors become dense ones, which is what ONNX Runtime makes of them.
    """
    _normalize_imports(proto.opset_import)
    for function in proto.functions:
        _normalize_imports(function.opset_import)
    for nodes in (proto.graph.node, *(f.node for f in proto.functions)):
        _normalize_nodes(nodes)
    _densify_initializers(proto.graph)
    if proto.ir_version < _FIRST_IR_WITH_OVERRIDABLE_INITIALIZERS:
        _unlist_initializers(proto.graph)


def from_proto(proto: onnx.ModelProto) -> ir.Model:
    """Make a graph of a normalised protobuf; types that `onnx_ir` lacks (maps) ride along."""
    maps: dict[str, bytes] = {}
    for info in _interface(proto.graph):
        if _holds_map(info.type):
            maps[info.name] = info.type.SerializeToString()
            info.ClearField("type")
    model = ir.from_proto(proto)
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.name in maps:
            value.meta[_MAP_TYPE] = maps[value.name]
    return model


def to_proto(model: ir.Model) -> onnx.ModelProto:
    """Make a protobuf of a graph."""
    proto: onnx.ModelProto = ir.to_proto(model)
    maps = {
        value.name: value.meta[_MAP_TYPE]
        for value in (*model.graph.inputs, *model.graph.outputs)
        if _MAP_TYPE in value.meta
    }
    for info in (*proto.graph.input, *proto.graph.output):
        if info.name in maps:
            info.type.ParseFromString(maps[info.name])
    _drop_redundant_types(proto.graph)
    drop_plain_source(proto)
    return proto


def _drop_redundant_types(graph: onnx.GraphProto) -> None:
    """`onnx_ir` writes down the type of every initializer; the initializer says it already."""
    stored = {tensor.name for tensor in graph.initializer}
    kept = [info for info in graph.value_info if info.name not in stored]
    if len(kept) < len(graph.value_info):
        del graph.value_info[:]
        graph.value_info.extend(kept)
    for inner in subgraphs(graph.node):
        _drop_redundant_types(inner)


def tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield every tensor of a model: initializers and attributes, at any depth."""
    yield from _graph_tensors(proto.graph)
    for function in proto.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: _Nodes) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
    for graph in subgraphs(nodes):
        yield from _graph_tensors(graph)


def subgraphs(nodes: _Nodes) -> Iterator[onnx.GraphProto]:
    """Yield the graphs that attributes of `nodes` hold; not those inside them."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs


def _normalize_imports(imports: _Imports) -> None:
    versions = {"" if i.domain == "ai.onnx" else i.domain: i.version for i in imports}
    del imports[:]
    imports.extend(onnx.helper.make_opsetid(d, v) for d, v in versions.items())


def _normalize_nodes(nodes: _Nodes) -> None:
    for node in nodes:
        if node.domain == "ai.onnx":
            node.domain = ""
        for attribute in node.attribute:
            if attribute.HasField("sparse_tensor"):
                _densify_attribute(attribute)
    for graph in subgraphs(nodes):
        _normalize_nodes(graph.node)
        _densify_initializers(graph)


def _densify_attribute(attribute: onnx.AttributeProto) -> None:
    attribute.t.CopyFrom(_dense(attribute.sparse_tensor))
    attribute.ClearField("sparse_tensor")
    attribute.type = onnx.AttributeProto.TENSOR
    attribute.name = "value" if attribute.name == "sparse_value" else attribute.name


def _densify_initializers(graph: onnx.GraphProto) -> None:
    graph.initializer.extend(_dense(sparse) for sparse in graph.sparse_initializer)
    del graph.sparse_initializer[:]


def _dense(sparse: onnx.SparseTensorProto) -> onnx.TensorProto:
    """Indices are positions in the flattened tensor, or one row of coordinates per value."""
    values = numpy_helper.to_array(sparse.values)
    indices = numpy_helper.to_array(sparse.indices)
    flat = np.ravel_multi_index(tuple(indices.T), sparse.dims) if indices.ndim > 1 else indices
    dense = np.zeros(math.prod(sparse.dims), values.dtype)
    dense[flat] = values
    return numpy_helper.from_array(dense.reshape(sparse.dims), sparse.values.name)


def _unlist_initializers(graph: onnx.GraphProto) -> None:
    stored = {tensor.name for tensor in graph.initializer}
    fed = [value for value in graph.input if value.name not in stored]
    del graph.input[:]
    graph.input.extend(fed)


def _interface(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    yield from graph.input
    yield from graph.output
    yield from graph.value_info


def _holds_map(kind: onnx.TypeProto) -> bool:
    if kind.HasField("sequence_type"):
        return _holds_map(kind.sequence_type.elem_type)
    if kind.HasField("optional_type"):
        return _holds_map(kind.optional_type.elem_type)
    return bool(kind.HasField("map_type"))
