"""Running nodes that an optimizer or a clipping adds, as a small model of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.tensor import Tensor
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.session import Session

Emit = Callable[[Builder, Mapping[str, Tensor]], Mapping[str, Tensor]]


def session(arrays: Mapping[str, Array], emit: Emit) -> Session:
    """Return a session with inputs like `arrays`, whose outputs `emit` adds nodes for."""
    values = {name: _input(name, array) for name, array in arrays.items()}
    graph = ir.Graph([*values.values()], [], nodes=[], opset_imports={"": 21}, name="g")
    op = Builder(graph, set(arrays), prefix="t")
    for name, tensor in emit(op, {n: op.tensor(v) for n, v in values.items()}).items():
        node = ir.Node("", "Identity", [tensor.value], num_outputs=1)
        assert tensor.dtype is not None
        node.outputs[0].name, node.outputs[0].type = f"new {name}", ir.TensorType(tensor.dtype)
        node.outputs[0].shape = None if tensor.shape is None else ir.Shape(tensor.shape)
        graph.append(node)
        graph.outputs.append(node.outputs[0])
    model = Model(ir.Model(graph, ir_version=10))
    model.check()
    return Session(model, threads=1)


def _input(name: str, array: Array) -> ir.Value:
    kind = ir.TensorType(ir.DataType.from_numpy(np.asarray(array).dtype))
    return ir.Value(name=name, shape=ir.Shape(np.shape(array)), type=kind)
