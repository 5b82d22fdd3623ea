"""Shapes that depend on arithmetic with other shapes, found by doing that arithmetic.

Exporters write ``x.view(x.shape[0], -1)`` as `Shape`, `Gather`, `Concat`, `Reshape`,
and padding as even longer chains.  `onnx.shape_inference` gives up on most of
them.  One walk through the graph fills the gaps: nodes whose inputs are known and
small are computed, and the others inferred one by one with what is known by then.
"""

from __future__ import annotations

import math
import warnings
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from onnxpress.data.batch import Array

_SMALL: Final = 1024
"""Elements; what shapes are computed from has a handful, masks and weights have more."""

UNSTEADY: Final = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"}
    | {"Dropout", "RandomUniformLike"}
)

_SHAPED_AS_INPUT: Final = {
    ("", "GroupNormalization"): 0,
    ("", "MeanVarianceNormalization"): 0,
    ("", "SimplifiedLayerNormalization"): 0,
    ("com.microsoft", "DequantizeLinear"): 1,
    ("com.microsoft", "QuantizeLinear"): 2,
}
"""Operators of ONNX Runtime, or that ONNX infers no shape for, and which input has the type."""


def fill_gaps(proto: onnx.ModelProto) -> Mapping[str, Array]:
    """Complete the types in ``value_info``, subgraphs included, in place.

    Args:
        proto: A model after `onnx.shape_inference.infer_shapes`, without big initializers.

    Returns:
        The elements of the small tensors of the main graph that are known, by name.
    """
    opsets = {opset.domain: opset.version for opset in proto.opset_import}
    scope = Scope()
    Walk(opsets, proto.ir_version).graph(proto.graph, scope)
    return scope.data


@dataclass
class Scope:
    """What is known of the tensors that a graph sees, by name."""

    types: ChainMap[str, onnx.TypeProto] = field(default_factory=ChainMap)
    data: ChainMap[str, Array] = field(default_factory=ChainMap)

    def inner(self) -> Scope:
        """Return a scope for a subgraph: it sees this one and writes to its own."""
        return Scope(self.types.new_child(), self.data.new_child())

    def learn(self, name: str, array: Array) -> None:
        """Note the elements of a small tensor."""
        if array.size <= _SMALL:
            self.data[name] = array
            self.types[name] = _array_type(array)

    def narrow(self, name: str, kind: onnx.TypeProto) -> None:
        """Note a type if it says more than what was known."""
        if name and (name not in self.types or _gaps(kind) < _gaps(self.types[name])):
            self.types[name] = kind

    def complete(self, name: str) -> bool:
        """Say whether nothing more can be learned of a tensor's type."""
        return not name or (name in self.types and _complete(self.types[name]))


class Walk:
    """One pass over the nodes, in order.

    Args:
        opsets: The versions of the operator sets, by domain.
        ir_version: The version of the format.
    """

    def __init__(self, opsets: Mapping[str, int], ir_version: int) -> None:
        self._opsets = [helper.make_opsetid(*opset) for opset in opsets.items()]
        self._versions = dict(opsets)
        self._ir_version = ir_version

    def graph(self, graph: onnx.GraphProto, scope: Scope) -> None:
        """Complete one graph; `scope` knows what it sees of the graphs around it."""
        infos = {info.name: info for info in (*graph.value_info, *graph.output)}
        scope.types.update((info.name, info.type) for info in (*graph.input, *infos.values()))
        for tensor in graph.initializer:
            scope.types[tensor.name] = _tensor_type(tensor)
            if _is_small(tensor):
                scope.learn(tensor.name, numpy_helper.to_array(tensor))
        for node in graph.node:
            self.node(node, scope)
            for name in node.output:
                if name in scope.types:
                    info = infos.get(name) or graph.value_info.add(name=name)
                    info.type.CopyFrom(scope.types[name])

    def node(self, node: onnx.NodeProto, scope: Scope) -> None:
        """Learn what can be known of a node's outputs."""
        bodies = {}
        for name, body in _subgraphs(node):
            bodies[name] = scope.inner()
            self.graph(body, bodies[name])
        if node.op_type == "If":
            _join_branches(node, scope, bodies)
        if not all(map(scope.complete, node.output)):
            for name, kind in self._inferred(node, scope).items():
                scope.narrow(name, kind)
            _shape_as_input(node, scope)
        if all(name in scope.data for name in node.input if name) or node.op_type == "Shape":
            for name, array in self._computed(node, scope):
                scope.learn(name, array)

    def _computed(self, node: onnx.NodeProto, scope: Scope) -> Iterator[tuple[str, Array]]:
        """Run a node whose inputs are all known."""
        if node.op_type == "Shape" and node.input[0] in scope.types:
            yield from _shape(node, scope.types[node.input[0]])
            return
        big = any(_elements(scope.types.get(name)) > _SMALL for name in node.output)
        if big or node.domain or node.op_type in UNSTEADY or any(_subgraphs(node)):
            return
        inputs, outputs = list(filter(None, node.input)), list(filter(None, node.output))
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                # As a graph, because a bare node would be run as of the newest opset.
                graph = helper.make_graph([node], "node", _untyped(inputs), _untyped(outputs))
                evaluator = ReferenceEvaluator(graph, opsets=self._versions)
                results = evaluator.run(None, {name: scope.data[name] for name in inputs})
        except Exception:  # noqa: BLE001  # the evaluator raises whatever its operators raise
            return
        yield from zip(outputs, map(np.asarray, results), strict=True)

    def _inferred(self, node: onnx.NodeProto, scope: Scope) -> dict[str, onnx.TypeProto]:
        """Infer a node's outputs from what is known of its inputs."""
        inputs = [name for name in node.input if name]
        version = self._versions.get(node.domain)
        if version is None or not all(name in scope.types for name in inputs):
            return {}
        try:
            return shape_inference.infer_node_outputs(
                defs.get_schema(node.op_type, version, node.domain),
                node,
                {n: scope.types[n] for n in inputs},
                {n: numpy_helper.from_array(scope.data[n], n) for n in inputs if n in scope.data},
                opset_imports=self._opsets,
                ir_version=self._ir_version,
            )
        except (defs.SchemaError, shape_inference.InferenceError, RuntimeError, ValueError):
            return {}


def _join_branches(node: onnx.NodeProto, scope: Scope, bodies: dict[str, Scope]) -> None:
    """Give an If the types of the branch that is taken, or what both branches agree on."""
    condition = scope.data.get(node.input[0])
    taken = [
        (dict(_subgraphs(node))[name].output, body)
        for name, body in bodies.items()
        if condition is None or condition.size != 1 or (name == "then_branch") == condition.item()
    ]
    for index, name in enumerate(node.output):
        kinds = [body.types[outputs[index].name] for outputs, body in taken]
        if all(kind == kinds[0] for kind in kinds[1:]):
            scope.narrow(name, kinds[0])
        if len(taken) == 1 and (array := taken[0][1].data.get(taken[0][0][index].name)) is not None:
            scope.learn(name, array)


def _shape_as_input(node: onnx.NodeProto, scope: Scope) -> None:
    """Give the output the shape of the first input."""
    index = _SHAPED_AS_INPUT.get((node.domain, node.op_type))
    if index is None or index >= len(node.input) or not node.input[index]:
        return
    shape, element = scope.types.get(node.input[0]), scope.types.get(node.input[index])
    if shape is not None and element is not None and _has_rank(shape):
        kind = onnx.TypeProto()
        kind.CopyFrom(shape)
        kind.tensor_type.elem_type = element.tensor_type.elem_type
        scope.narrow(node.output[0], kind)


def _shape(node: onnx.NodeProto, kind: onnx.TypeProto) -> Iterator[tuple[str, Array]]:
    limits = {attribute.name: attribute.i for attribute in node.attribute}
    sizes = _sizes(kind)[limits.get("start") : limits.get("end")] if _has_rank(kind) else [None]
    if None not in sizes:
        yield node.output[0], np.array(sizes, np.int64)


def _untyped(names: Sequence[str]) -> list[onnx.ValueInfoProto]:
    return [helper.make_empty_tensor_value_info(name) for name in names]


def _is_small(tensor: onnx.TensorProto) -> bool:
    stored_here = tensor.data_location != onnx.TensorProto.EXTERNAL
    return stored_here and math.prod(tensor.dims) <= _SMALL


def _subgraphs(node: onnx.NodeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    return ((a.name, a.g) for a in node.attribute if a.HasField("g"))


def _tensor_type(tensor: onnx.TensorProto) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))


def _array_type(array: Array) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(
        helper.np_dtype_to_tensor_dtype(array.dtype), list(array.shape)
    )


def _has_rank(kind: onnx.TypeProto) -> bool:
    return bool(kind.HasField("tensor_type") and kind.tensor_type.HasField("shape"))


def _sizes(kind: onnx.TypeProto) -> Sequence[int | None]:
    """Return the dimensions, None for those that are no numbers."""
    dims = kind.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]


def _gaps(kind: onnx.TypeProto) -> float:
    """Count the dimensions that are no numbers; without a rank nothing is known."""
    return _sizes(kind).count(None) if _has_rank(kind) else math.inf


def _complete(kind: onnx.TypeProto) -> bool:
    return _gaps(kind) == 0


def _elements(kind: onnx.TypeProto | None) -> int:
    if kind is None or not _complete(kind):
        return 0
    return math.prod(size or 0 for size in _sizes(kind))
