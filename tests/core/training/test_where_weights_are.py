"""Weights are trained wherever a file keeps them, and come back in the same place and type."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.testing.require import as_bytes
from tests.core.training.fitting import PLAIN, array_of, changed, fitted, weights
from tests.graphs import graph, normal

RATE = 0.1
X = normal(8, 4, seed=5)
Y = normal(8, 4, seed=6)
W = normal(4, 4) * 0.5

OPTIONS = {**PLAIN, "lr": RATE, "batch": 8}


def matrix_after_one_step(start: Array, *, transposed: bool = False) -> Array:
    """Return W after one step of gradient descent on the squared error of X W, in PyTorch."""
    w = torch.tensor(start, requires_grad=True)
    product = torch.tensor(X) @ (w.T if transposed else w)
    torch.autograd.backward(torch.nn.functional.mse_loss(product, torch.tensor(Y)))
    assert w.grad is not None
    return np.asarray((w - RATE * w.grad).detach().numpy())


def floats(array: Array) -> str:
    return ", ".join(f"{x:.8g}" for x in array.reshape(-1))


IN_A_CONSTANT = f"""g (float[N,4] x) => (float[N,4] y) {{
    w = Constant<value = float[4,4] {{{floats(W)}}}>()
    y = MatMul(x, w)
}}"""

MODELS = {
    "a Constant": lambda: graph(IN_A_CONSTANT),
    "behind Identity": lambda: graph(
        "g (float[N,4] x) => (float[N,4] y) { i = Identity(w) j = Identity(i) y = MatMul(x, j) }",
        w=W,
    ),
    "behind Transpose": lambda: graph(
        "g (float[N,4] x) => (float[N,4] y) { t = Transpose<perm=[1,0]>(w) y = MatMul(x, t) }",
        w=W,
    ),
    "a function": lambda: graph(
        """<ir_version: 10, opset_import: ["": 21, "local": 1]>
        g (float[N,4] x) => (float[N,4] y) { y = local.dense(x, w) }
        <domain: "local", opset_import: ["": 21]> dense (a, b) => (c) { c = MatMul(a, b) }""",
        w=W,
    ),
    "a branch": lambda: graph(
        """g (float[N,4] x) => (float[N,4] y) {
            c = Constant<value = bool {1}>()
            y = If(c) <
                then_branch = t () => (float[N,4] a) { a = MatMul(x, w) },
                else_branch = e () => (float[N,4] b) { b = Relu(x) }
            >
        }""",
        w=W,
    ),
}


@pytest.mark.parametrize("where", MODELS)
def test_one_step_is_that_of_pytorch(where: str) -> None:
    model = MODELS[where]()
    before = as_bytes(model)
    result = fitted(model, {"x": X, "labels": Y}, **OPTIONS).model
    wanted = matrix_after_one_step(W, transposed=where == "behind Transpose")
    np.testing.assert_allclose(array_of(result, "w"), wanted, atol=1e-6)
    assert as_bytes(model) == before
    assert [n.op_type for n in result.ir.graph] == [n.op_type for n in model.ir.graph]
    assert result.run({"x": X})["y"].shape == (8, 4)


def branches(then: str, other: str) -> Model:
    """Return an If whose branches store a matrix each, under these names."""
    return graph(
        f"""g (float[N,4] x, bool c) => (float[N,4] y) {{
            y = If(c) <
                then_branch = t () => (float[N,4] a) {{
                    {then} = Constant<value = float[4,4] {{{floats(W)}}}>()
                    a = MatMul(x, {then})
                }},
                else_branch = e () => (float[N,4] b) {{
                    {other} = Constant<value = float[4,4] {{{floats(2 * W)}}}>()
                    b = MatMul(x, {other})
                }}
            >
        }}"""
    )


@pytest.mark.parametrize("other", ["v", "w"])
def test_a_branch_that_does_not_run_learns_nothing(other: str) -> None:
    # ONNX lets branches use one name for two tensors; then the first is trained.
    model = branches("w", other)
    batches = [({"x": X, "c": np.ones((), bool)}, Y)]
    result = fitted(model, batches, **{**OPTIONS, "batch": None}).model
    found = {layer.name: layer.weight.array() for layer in result.layers}
    first, second = found.values()
    np.testing.assert_allclose(first, matrix_after_one_step(W), atol=1e-6)
    np.testing.assert_allclose(second, 2 * W, rtol=1e-6)


def test_a_tensor_of_two_layers_gets_both_gradients() -> None:
    text = "g (float[N,4] x) => (float[N,4] y) { a = MatMul(x, w) r = Relu(a) y = MatMul(r, w) }"
    w = torch.tensor(W, requires_grad=True)
    product = torch.relu(torch.tensor(X) @ w) @ w
    torch.autograd.backward(torch.nn.functional.mse_loss(product, torch.tensor(Y)))
    assert w.grad is not None
    result = fitted(graph(text, w=W), {"x": X, "labels": Y}, **OPTIONS).model
    wanted = (w - RATE * w.grad).detach().numpy()
    np.testing.assert_allclose(array_of(result, "w"), wanted, atol=1e-6)


def half(*, steps: int) -> tuple[Array, Array]:
    """Return a half-precision weight before and after many small steps."""
    text = "g (float16[N,4] x) => (float16[N,4] y) { y = MatMul(x, w) }"
    model = graph(text, w=W.astype(np.float16))
    source = {"x": X.astype(np.float16), "labels": Y}
    options = {**OPTIONS, "lr": 1e-4, "epochs": steps}
    return weights(model)["w"], weights(fitted(model, source, **options).model)["w"]


def test_half_precision_is_trained_in_float32() -> None:
    start, after = half(steps=1)
    assert after.dtype == np.float16
    # Most of a single step of this size is lost in float16, but many add up.
    assert np.mean(start == after) > 0.8
    start, after = half(steps=100)
    w = torch.tensor(start.astype(np.float32), requires_grad=True)
    optimizer = torch.optim.SGD([w], 1e-4)
    for _ in range(100):
        optimizer.zero_grad()
        x = torch.tensor(X.astype(np.float16).astype(np.float32))
        torch.autograd.backward(torch.nn.functional.mse_loss(x @ w, torch.tensor(Y)))
        optimizer.step()
    moved = (w.detach().numpy() - start).astype(np.float32)
    assert np.abs(moved).max() > 1e-3
    np.testing.assert_allclose(after - start.astype(np.float32), moved, atol=5e-4)


def test_bfloat16_and_double_keep_their_type() -> None:
    text = "g (double[N,4] x) => (double[N,4] y) { y = MatMul(x, w) }"
    model = graph(text, w=numpy_helper.from_array(W.astype(np.float64), "w"))
    result = fitted(model, {"x": X.astype(np.float64), "labels": Y}, **OPTIONS).model
    assert array_of(result, "w").dtype == np.float64
    np.testing.assert_allclose(array_of(result, "w"), matrix_after_one_step(W), atol=1e-6)
    text = """g (float[N,4] x) => (float[N,4] y) { f = Cast<to=1>(w) y = MatMul(x, f) }"""
    stored = W.astype(ml_dtypes.bfloat16)
    tensor = helper.make_tensor("w", TensorProto.BFLOAT16, (4, 4), stored.tobytes(), raw=True)
    model = graph(text, w=tensor)
    options = {**OPTIONS, "lr": 0.5}
    result = fitted(model, {"x": X, "labels": Y}, **options).model
    assert array_of(result, "w").dtype == ml_dtypes.bfloat16
    assert changed(model, result) == {"w"}


def normalised(dtype: Any) -> Model:
    kind = "float16" if dtype is np.float16 else "float"
    text = f"""g ({kind}[N,2,6,6] x) => ({kind}[N,4] y) {{
        c = Conv(x, w) n = BatchNormalization(c, s, b, m, v) p = GlobalAveragePool(n) y = Flatten(p)
    }}"""
    tensors = {"w": normal(4, 2, 3, 3), **dict.fromkeys("bm", np.zeros(4))}
    tensors.update(dict.fromkeys("sv", np.ones(4)))
    return graph(text, **{name: np.asarray(array, dtype) for name, array in tensors.items()})


def test_half_precision_statistics_follow_the_batch() -> None:
    x, options = normal(8, 2, 6, 6).astype(np.float16), {**PLAIN, "lr": 0.1, "epochs": 4}
    results = {}
    for dtype in (np.float16, np.float32):
        source = {"x": x.astype(dtype), "labels": np.arange(8) % 4}
        results[dtype] = weights(fitted(normalised(dtype), source, **options).model)
    half, single = results[np.float16], results[np.float32]
    assert {array.dtype for array in half.values()} == {np.dtype(np.float16)}
    for name, array in single.items():
        np.testing.assert_allclose(half[name], array, atol=0.01, err_msg=name)
    assert np.abs(half["v"] - 1).max() > 0.5
