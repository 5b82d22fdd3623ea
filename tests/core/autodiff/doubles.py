"""Models run in double precision, where ONNX Runtime has no kernels: for differences.

ONNX's reference evaluator does it, with the operators of `double_operators`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxpress.autodiff.activity import read_by
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from tests.core.autodiff.double_operators import OPERATORS

_NARROW: Final = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


class InDouble:
    """A model whose floats are all doubles; weights can be given with every run."""

    def __init__(self, model: Model) -> None:
        proto = ir.to_proto(model.ir)
        _widen(proto.graph)
        self._outputs = [value.name for value in proto.graph.output]
        self._run = ReferenceEvaluator(proto, new_ops=OPERATORS)
        self._done = _last_reads(model, self._outputs)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; floats may have any width."""
        wide = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in feeds.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # overflow, and what the evaluator does itself
            return self._computed(wide)

    def _computed(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run node by node and forget what nobody reads any more, which the evaluator keeps."""
        known: dict[str, Any] = {"": None, **self._run.rt_inits_, **feeds}
        for node, done in zip(self._run.rt_nodes_, self._done, strict=True):
            given = [known[name] for name in node.input]
            context = {"context": known} if node.need_context() else {}
            known.update(zip(node.output, node.run(*given, **context), strict=False))
            for name in done:
                known.pop(name, None)
        return {name: known[name] for name in self._outputs}


def _last_reads(model: Model, outputs: Sequence[str]) -> list[list[str]]:
    """Return for every node of the main graph which values are read by no later one."""
    last: dict[str, int] = {}
    nodes = list(model.ir.graph)
    for number, node in enumerate(nodes):
        last.update({v.name or "": number for v in (*node.outputs, *read_by(node))})
    done: list[list[str]] = [[] for _ in nodes]
    for name, number in last.items():
        if name and name not in outputs:
            done[number].append(name)
    return done


def _widen(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in _NARROW:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in {"to", "dtype"} and attribute.i in _NARROW:
                attribute.i = onnx.TensorProto.DOUBLE
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen_tensor(attribute.t)
            if attribute.type == onnx.AttributeProto.GRAPH:
                _widen(attribute.g)


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in _NARROW:
        wide = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
