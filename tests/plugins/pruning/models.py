"""Models of a few weights, and what pruning makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress_pruning import MagnitudePruning


def products(**weights: Any) -> Model:
    """Make a model with one MatMul for each weight; each has an input of its own."""
    arrays = {name: np.asarray(value) for name, value in weights.items()}
    nodes = [helper.make_node("MatMul", [f"x_{n}", n], [f"y_{n}"], f"use_{n}") for n in arrays]

    def value(name: str, array: Array, size: int) -> onnx.ValueInfoProto:
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        return helper.make_tensor_value_info(name, kind, ["N", size])

    graph = helper.make_graph(
        nodes,
        "g",
        [value(f"x_{n}", a, a.shape[0]) for n, a in arrays.items()],
        [value(f"y_{n}", a, a.shape[1]) for n, a in arrays.items()],
        [numpy_helper.from_array(a, n) for n, a in arrays.items()],
    )
    opset = [helper.make_opsetid("", 21)]
    return Model.from_proto(helper.make_model(graph, opset_imports=opset, ir_version=10))


def weights_of(model: Model) -> dict[str, Array]:
    """Return every stored tensor of a layer by name."""
    return {w.name: w.array() for layer in model.layers for w in layer.tensors}


def pruned(model: Model, **options: Any) -> dict[str, Array]:
    """Prune, and return every stored tensor of a layer by name."""
    return weights_of(MagnitudePruning(**options).apply(model, Job()))


def zeros(array: Array) -> int:
    return array.size - int(np.count_nonzero(array))
