"""Folding: the same results with fewer nodes, or nothing at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.graph.fold import AFFINE, Folded, effective_array, fold_affine
from onnxpress.graph.model import Model
from tests.graphs import graph, normal

BATCH_NORM = {
    "s": normal(4, seed=1),
    "b": normal(4, seed=2),
    "m": normal(4, seed=3),
    "v": np.linspace(0.5, 2.0, 4),
}


def folded(model: Model) -> tuple[Model, tuple[Folded, ...]]:
    edit = model.edit()
    found = fold_affine(edit)
    return edit.done(), found


def check_same(model: Model, result: Model) -> None:
    result.check()
    feeds = {
        v.name or "": normal(2, *(int(n) for n in tuple(v.shape or ())[1:] if isinstance(n, int)))
        for v in model.inputs
    }
    expected, found = model.run(feeds), result.run(feeds)
    assert list(expected) == list(found)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)


def operators(model: Model) -> list[str]:
    return [node.op_type for node in model.ir.graph]


LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Conv": ("Conv<pads=[1,1,1,1]>(x, w)", {"w": normal(4, 6, 3, 3)}),
    "Conv with bias": ("Conv<group=2>(x, w, c)", {"w": normal(4, 3, 1, 1), "c": normal(4)}),
    "ConvTranspose": ("ConvTranspose<strides=[2,2]>(x, w)", {"w": normal(6, 4, 2, 2)}),
    "grouped ConvTranspose": ("ConvTranspose<group=2>(x, w)", {"w": normal(6, 2, 2, 2)}),
}
BEHIND: dict[str, tuple[str, dict[str, Any]]] = {
    "BatchNormalization": ("BatchNormalization<epsilon=0.01>(l, s, b, m, v)", BATCH_NORM),
    "Mul": ("Mul(l, k)", {"k": normal(4, 1, 1)}),
    "Mul by a number": ("Mul(k, l)", {"k": np.array([0.3])}),
    "Div": ("Div(l, k)", {"k": normal(1, 4, 1, 1)}),
    "Add": ("Add(k, l)", {"k": normal(4, 1, 1)}),
    "Sub": ("Sub(l, k)", {"k": normal(4, 1, 1)}),
    "Sub from": ("Sub(k, l)", {"k": normal(4, 1, 1)}),
}


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("layer", LAYERS)
def test_what_follows_a_layer_goes_into_its_weights(layer: str, behind: str) -> None:
    (first, weights), (second, constants) = LAYERS[layer], BEHIND[behind]
    text = f"g (float[N,6,5,5] x) => (float[N,4,H,W] y) {{ l = {first} y = {second} }}"
    model = graph(text, **weights, **constants)
    result, found = folded(model)
    assert operators(result) == ["ConvTranspose" if "Transpose" in layer else "Conv"]
    assert [f.op_type for f in found] == [behind.split(maxsplit=1)[0]]
    check_same(model, result)


def test_every_operator_in_the_table_is_tested() -> None:
    assert {rule.op for rule in AFFINE} == {behind.split()[0] for behind in BEHIND}


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(transposed: int) -> None:
    weight = normal(4, 6) if transposed else normal(6, 4)
    model = graph(
        f"""g (float[N,6] x) => (float[N,4] y) {{
            l = Gemm<transB={transposed}, alpha=0.5>(x, w, c)
            n = BatchNormalization(l, s, b, m, v)
            y = Mul(n, k)
        }}""",
        w=weight,
        c=normal(4),
        k=normal(4, seed=9),
        **BATCH_NORM,
    )
    result, found = folded(model)
    assert operators(result) == ["Gemm"]
    assert [f.op_type for f in found] == ["BatchNormalization", "Mul"]
    check_same(model, result)


def test_names_of_layers_weights_and_results_stay() -> None:
    model = graph(
        """g (float[N,6,5,5] x) => (float[N,4,5,5] y) {
            l = Conv(x, w, c)
            n = BatchNormalization(l, s, b, m, v)
            y = Relu(n)
        }""",
        w=normal(4, 6, 1, 1),
        c=normal(4),
        **BATCH_NORM,
    )
    result, _ = folded(model)
    assert [layer.name for layer in result.layers] == [model.layers[0].name]
    assert {w.name for w in result.layers[0].weights} == {"w", "c"}
    assert next(iter(result.ir.graph)).outputs[0].name == "n"


def test_a_weight_that_others_read_is_copied() -> None:
    model = graph(
        """g (float[N,4,5,5] x) => (float[N,4,5,5] y, float[N,4,5,5] z) {
            l = Conv(x, w)
            y = Mul(l, k)
            z = Conv(x, w)
        }""",
        w=normal(4, 4, 1, 1),
        k=normal(4, 1, 1),
    )
    result, found = folded(model)
    assert len(found) == 1
    check_same(model, result)


@pytest.mark.parametrize(
    ("path", "weight"),
    [
        ("u = Transpose<perm=[1,0,2,3]>(w)", normal(6, 4, 1, 1)),
        ("u = Identity(w)", normal(4, 6, 1, 1)),
        ("h = Constant<value_ints=[4,6,1,1]>() u = Reshape(w, h)", normal(24)),
        ("u = Cast<to=1>(w)", normal(4, 6, 1, 1).astype(np.float16)),
    ],
)
def test_weights_behind_other_nodes(path: str, weight: Any) -> None:
    model = graph(
        f"""g (float[N,6,5,5] x) => (float[N,4,5,5] y) {{
            {path} l = Conv(x, u) y = BatchNormalization(l, s, b, m, v)
        }}""",
        w=weight,
        **BATCH_NORM,
    )
    result, _ = folded(model)
    assert operators(result) == ["Conv"]
    check_same(model, result)


@pytest.mark.parametrize(
    ("text", "constants"),
    [
        # The result of the layer is read elsewhere too.
        ("l = Conv(x, w) y = Mul(l, k) z = Relu(l)", {"k": normal(4, 1, 1)}),
        # It is an output of the model.
        ("z = Conv(x, w) y = Mul(z, k)", {"k": normal(4, 1, 1)}),
        # The constant varies along another axis, or broadcasts the result to a larger shape.
        ("l = Conv(x, w) y = Mul(l, k) z = Relu(y)", {"k": normal(5)}),
        ("l = Conv(x, w) y = Add(l, k) z = Relu(y)", {"k": normal(2, 4, 1, 1)}),
        # It is computed.
        ("l = Conv(x, w) k = Sigmoid(l) y = Mul(l, k) z = Relu(y)", {}),
        # Not linear in the layer's result.
        ("l = Conv(x, w) y = Div(k, l) z = Relu(y)", {"k": normal(4, 1, 1)}),
        # A division that would give infinities.
        ("l = Conv(x, w) y = Div(l, k) z = Relu(y)", {"k": np.zeros((4, 1, 1))}),
        # The weight is computed.
        ("u = Relu(w) l = Conv(x, u) y = Mul(l, k) z = Relu(y)", {"k": normal(4, 1, 1)}),
    ],
)
def test_what_can_not_be_folded_stays(text: str, constants: dict[str, Any]) -> None:
    model = graph(
        f"g (float[2,6,5,5] x) => (float[2,4,5,5] y, float[2,4,5,5] z) {{ {text} }}",
        w=normal(4, 6, 1, 1),
        **constants,
    )
    result, found = folded(model)
    assert found == ()
    assert operators(result) == operators(model)


def test_weights_that_a_caller_may_override_stay() -> None:
    model = graph(
        """g (float[N,6,5,5] x, float[4,6,1,1] w) => (float[N,4,5,5] y) {
            l = Conv(x, w) y = Mul(l, k)
        }""",
        w=normal(4, 6, 1, 1),
        k=normal(4, 1, 1),
    )
    assert folded(model)[1] == ()


def test_numbers_that_would_overflow_stay() -> None:
    model = graph(
        "g (float[N,6,5,5] x) => (float[N,4,5,5] y) { l = Conv(x, w) y = Mul(l, k) }",
        w=1e30 * np.ones((4, 6, 1, 1)),
        k=1e30 * np.ones((4, 1, 1)),
    )
    assert folded(model)[1] == ()


def test_quantized_weights_have_no_effective_array() -> None:
    model = graph(
        """g (float[N,6] x) => (float[N,4] y) {
            d = DequantizeLinear(w, k) y = MatMul(x, d)
        }""",
        w=np.ones((6, 4), np.int8),
        k=np.float32(0.5),
    )
    assert effective_array(model.layers[0].weight) is None


def test_a_real_network_computes_the_same(shared: Path) -> None:
    model = Model.load(shared / "models/cifar10_resnet20/resnet20_bn.onnx")
    result, found = folded(model)
    assert len(found) == 19
    assert "BatchNormalization" not in operators(result)
    image = {"input": normal(4, 3, 32, 32)}
    np.testing.assert_allclose(
        result.run(image)["logits"], model.run(image)["logits"], rtol=1e-3, atol=1e-4
    )
