"""Small model files to measure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save_dense(path: Path, *, inputs: int = 16, classes: int = 4, scale: float = 1.0) -> Path:
    """Write ``y = scale · x W`` for x of shape (N, inputs)."""
    weight = scale * np.random.default_rng(0).standard_normal((inputs, classes))
    return save(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], weight.astype("f"))


def save_slow(path: Path, *, layers: int, width: int = 256) -> Path:
    """Write `layers` square matrix products in a row, on x of shape (N, width)."""
    names = ["x", *(f"h{i}" for i in range(layers - 1)), "y"]
    nodes = [helper.make_node("MatMul", [names[i], "w"], [names[i + 1]]) for i in range(layers)]
    return save(path, nodes, np.full((width, width), 1 / width, dtype="f"))


def save(path: Path, nodes: Sequence[onnx.NodeProto], weight: Any, output: str = "y") -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", weight.shape[0]])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, path)
    return path
