"""`gradient` of models of all kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from onnxpress.autodiff import GRADIENTS, Site, Tensor, gradient, gradient_name
from onnxpress.testing.gradients import check_gradient
from tests.core.autodiff.mlp import MLP, WEIGHTS, mlp, mlp_weights
from tests.graphs import graph, normal


class TestElementTypes:
    @pytest.mark.parametrize(("name", "dtype"), [("float16", np.float16), ("double", np.float64)])
    def test_gradients_have_the_type_of_the_model(self, name: str, dtype: type[Any]) -> None:
        kind = ir.DataType.from_numpy(np.dtype(dtype))
        text = MLP.replace("float[", f"{name}[")
        weights = {"w1": normal(4, 3), "b1": normal(3), "w2": normal(3, 2), "b2": normal(2)}
        tensors = {
            key: onnx.numpy_helper.from_array(array.astype(dtype), key)
            for key, array in weights.items()
        }
        model, single = graph(text, **tensors), graph(MLP, **weights)
        x = normal(5, 4)
        found = gradient(model, "y", [*WEIGHTS, "x"]).run({"x": x.astype(dtype)})
        wanted = gradient(single, "y", [*WEIGHTS, "x"]).run({"x": x})
        for key in map(gradient_name, [*WEIGHTS, "x"]):
            assert found[key].dtype == kind.numpy()
            np.testing.assert_allclose(found[key], wanted[key], rtol=2e-2, atol=1e-2)

    def test_double_is_exact_to_its_own_precision(self) -> None:
        text = MLP.replace("float[", "double[")
        tensors = {
            key: onnx.numpy_helper.from_array(normal(*shape).astype(np.float64), key)
            for key, shape in {"w1": (4, 3), "b1": (3,), "w2": (3, 2), "b2": (2,)}.items()
        }
        check_gradient(
            graph(text, **tensors), {"x": normal(5, 4).astype(np.float64)}, ["x"],
            step=1e-6, tolerance=1e-8,
        )  # fmt: skip


def test_any_batch_size_will_do() -> None:
    result = gradient(mlp(), "y", [*WEIGHTS, "x"])
    for count in (1, 7):
        found = result.run({"x": normal(count, 4)})
        assert found["grad.x"].shape == (count, 4)
        assert found["grad.b2"].tolist() == [count, count]


def test_models_with_functions() -> None:
    model = graph(
        """<ir_version: 10, opset_import: ["": 21, "own": 1]>
        g (float[N,4] x) => (float[N,3] y) { h = own.Dense<slope = 0.2>(x, w) y = Tanh(h) }
        <domain: "own", opset_import: ["": 21]>
        Dense<slope>(x, w) => (y) { a = MatMul(x, w) y = LeakyRelu<alpha: float = @slope>(a) }""",
        w=normal(4, 3),
    )
    check_gradient(model, {"x": normal(5, 4)}, ["x"], tolerance=2e-2)
    assert gradient(model, "y", "w").run({"x": normal(5, 4)})["grad.w"].shape == (4, 3)


def test_a_plugin_makes_an_operator_differentiable() -> None:
    """``FastGelu`` of ONNX Runtime, which has no rule of ours."""
    model = graph("g (float[N,4] x) => (float[N,4] y) { y = com.microsoft.QuickGelu(x) }")

    def rule(at: Site) -> Tensor:
        x, alpha = at.input(0), at.number("alpha", 1.702)
        sigmoid = at.op("Sigmoid", x * alpha)
        return at.gradient * (sigmoid + x * alpha * sigmoid * (1 - sigmoid))

    table = type(GRADIENTS)("gradient")
    table("QuickGelu", domain="com.microsoft")(rule)
    check_gradient(model, {"x": normal(3, 4)}, ["x"], rules=table, step=1e-2)
    assert GRADIENTS.find("QuickGelu", "com.microsoft") is None


def test_a_product_with_the_hessian_agrees_with_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    x, arrays = normal(5, 4), mlp_weights()
    model = graph(
        """g (float[N,4] x) => (float[] loss) {
            a = MatMul(x, w1)
            b = Add(a, b1)
            h = Tanh(b)
            y = Gemm(h, w2, b2)
            z = Mul(y, y)
            loss = ReduceSum<keepdims = 0>(z)
        }""",
        **arrays,
    )
    first = gradient(model, "loss", WEIGHTS)
    second = gradient(
        first, {gradient_name(n): f"v.{n}" for n in WEIGHTS}, WEIGHTS, called="hessian.{}"
    )
    vectors = {n: normal(*a.shape, seed=20) for n, a in arrays.items()}
    found = second.run({"x": x, **{f"v.{n}": v for n, v in vectors.items()}})

    def loss(w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
        return ((torch.tanh(torch.tensor(x).double() @ w1 + b1) @ w2 + b2) ** 2).sum()

    doubles = tuple(torch.tensor(a).double() for a in arrays.values())
    along = tuple(torch.tensor(v).double() for v in vectors.values())
    _, wanted = torch.autograd.functional.hvp(loss, doubles, along)
    for name, array in zip(WEIGHTS, wanted, strict=True):
        np.testing.assert_allclose(found[f"hessian.{name}"], array, rtol=2e-4, atol=2e-4)
