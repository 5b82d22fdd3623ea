"""LSTM, GRU and RNN with the batch first, which ONNX Runtime itself does not run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from tests.core.autodiff.recurrent import by_torch, inputs

OUTPUTS = {"LSTM": 3, "GRU": 2, "RNN": 2}
PAIRS = [(op, index) for op, count in OUTPUTS.items() for index in range(count)]


@pytest.mark.parametrize("way", ["reverse", "bidirectional"])
@pytest.mark.parametrize(("op", "of"), PAIRS)
def test_the_batch_may_come_first(op: str, of: int, way: str) -> None:
    given = [None if a is None else turned(a) if i in (0, 5, 6) else a
             for i, a in enumerate(inputs(op, way))]  # fmt: skip
    feeds = {f"x{i}": a.astype(np.float32) for i, a in enumerate(given) if a is not None}
    tensors = [None if a is None else torch.tensor(a, requires_grad=True) for a in given]
    wanted = turned(
        by_torch(op, way, of)(*map(turned_if_first, range(len(tensors)), tensors)), of == 0
    )
    weights = np.random.default_rng(0).standard_normal(wanted.shape)
    (wanted * torch.tensor(weights)).sum().backward()

    result = gradient(model(op, way, given, of), {f"y{of}": "weights"}, list(feeds))
    found = result.run({**feeds, "weights": weights.astype(np.float32)})
    np.testing.assert_allclose(found[f"y{of}"], wanted.detach(), atol=1e-6)
    for i, tensor in enumerate(tensors):
        if tensor is not None and tensor.grad is not None:
            got = found[gradient_name(f"x{i}")]
            np.testing.assert_allclose(got, tensor.grad, rtol=1e-4, atol=1e-5)


def turned(x: Any, whole: bool = False) -> Any:  # noqa: FBT001, FBT002
    """Swap steps or directions with sequences; `whole` from (T, D, B, H) to (B, T, D, H)."""
    perm = (2, 0, 1, 3) if whole else (1, 0, 2)
    return x.permute(perm) if isinstance(x, torch.Tensor) else x.transpose(perm)


def turned_if_first(index: int, x: Any) -> Any:
    return turned(x) if x is not None and index in (0, 5, 6) else x


def model(op: str, way: str, given: list[Array | None], of: int) -> Model:
    names = ["" if a is None else f"x{i}" for i, a in enumerate(given)]
    outputs = [f"y{i}" if i == of else "" for i in range(of + 1)]
    late: dict[str, Any] = {"linear_before_reset": 1} if op == "GRU" else {}
    node = helper.make_node(
        op, names, outputs, hidden_size=2, direction=way, layout=1, **late
    )  # fmt: skip
    infos = [
        helper.make_tensor_value_info(name, 1, a.shape)
        for name, a in zip(names, given, strict=True)
        if a is not None
    ]
    result = helper.make_tensor_value_info(f"y{of}", 1, None)
    graph = helper.make_graph([node], "g", infos, [result])
    opset = helper.make_opsetid("", 21)
    return Model.from_proto(helper.make_model(graph, opset_imports=[opset], ir_version=10))
