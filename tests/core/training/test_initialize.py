"""New weights for whole models: by layer, deterministic, for every kind of layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.graph.constants import constant_tensor
from onnxpress.graph.model import Model
from onnxpress.graph.types import type_of
from onnxpress.training.initialize import initialize
from tests.graphs import graph, normal, resnet20


def weights(model: Model) -> dict[str, Any]:
    return {w.name: w.array() for layer in model.layers for w in layer.tensors}


def test_a_network_is_initialised_as_papers_do() -> None:
    model = Model.from_proto(resnet20())
    before = weights(model)
    made = weights(initialize(model))
    np.testing.assert_array_equal(weights(model)["fc.weight"], before["fc.weight"])
    for name, array in made.items():
        assert array.dtype == before[name].dtype
        assert array.shape == before[name].shape
        if name.endswith((".bn.s", ".bn.v")):
            assert (array == 1).all()
        elif name.endswith((".bn.b", ".bn.m", ".bias")):
            assert not array.any()
        else:
            fan_in = array[0].size
            assert array.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.15)


def test_the_result_depends_on_seed_and_name_only() -> None:
    model = Model.from_proto(resnet20())
    first, again, other = (weights(initialize(model, seed)) for seed in (0, 0, 1))
    assert all((first[n] == again[n]).all() for n in first)
    assert (first["stem.weight"] != other["stem.weight"]).all()
    alone = graph(
        "g (float[1,3,8,8] x) => (float[1,16,6,6] y) { y = Conv(x, w) }", w=normal(16, 3, 3, 3)
    )
    edit = alone.edit()
    edit.graph.initializers["w"].name = "stem.weight"
    np.testing.assert_array_equal(
        weights(initialize(edit.done()))["stem.weight"], first["stem.weight"]
    )


LAYERS: dict[str, tuple[str, dict[str, Any], tuple[int, ...], int]] = {
    # text, initializers, order of axes that puts output channels first, fan-in
    "Gemm": ("Gemm(x, w, b)", {"w": normal(300, 200), "b": normal(200)}, (1, 0), 300),
    "Gemm transposed": (
        "Gemm <transB = 1> (x, w)", {"w": normal(200, 300)}, (0, 1), 300,
    ),
    "MatMul": ("MatMul(x, w)", {"w": normal(300, 200)}, (1, 0), 300),
    "depthwise": (
        "Conv <group = 512> (x, w)", {"w": normal(512, 1, 3, 3)}, (0, 1, 2, 3), 9,
    ),
    "ConvTranspose": (
        "ConvTranspose <group = 4> (x, w)", {"w": normal(64, 32, 3, 3)}, (1, 0, 2, 3), 16 * 9,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_fans_follow_the_axes_of_the_layer(name: str) -> None:
    call, arrays, order, fan_in = LAYERS[name]
    ranks = "N,C,H,W" if "Conv" in call else "N,C"
    model = graph(
        f"g (float[{ranks}] x) => (float[{ranks.replace('C', 'D')}] y) {{ y = {call} }}", **arrays
    )
    made = weights(initialize(model))
    assert made["w"].std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.05)
    assert not made.get("b", np.zeros(1)).any()
    rows = weights(initialize(model, scheme="orthogonal"))["w"].transpose(order)
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    square = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(square, np.eye(len(square)), atol=1e-5)


@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent_layers_are_drawn_gate_by_gate(op: str, gates: int) -> None:
    hidden, inputs = 6, 30
    model = graph(
        f"g (float[T,N,{inputs}] x) => (float[T,2,N,{hidden}] y) "
        f'{{ y = {op} <hidden_size = {hidden}, direction = "bidirectional"> (x, w, r, b) }}',
        w=normal(2, gates * hidden, inputs),
        r=normal(2, gates * hidden, hidden),
        b=normal(2, 2 * gates * hidden),
    )
    made = weights(initialize(model))
    for block in made["r"].reshape(-1, hidden, hidden):
        np.testing.assert_allclose(block @ block.T, np.eye(hidden), atol=1e-6)
    assert np.abs(made["w"]).max() <= np.sqrt(6 / (hidden + inputs))
    assert made["w"].std() == pytest.approx(np.sqrt(2 / (hidden + inputs)), rel=0.1)
    assert not made["b"].any()


def test_embeddings_and_normalisations() -> None:
    model = graph(
        "g (int64[N,T] x) => (float[N,T,16] y) "
        "{ e = Gather(table, x) y = LayerNormalization(e, s, b) }",
        table=normal(500, 16), s=normal(16), b=normal(16),
    )  # fmt: skip
    made = weights(initialize(model))
    assert 0.016 < made["table"].std() < 0.02
    assert np.abs(made["table"]).max() <= 0.04
    assert (made["s"] == 1).all()
    assert not made["b"].any()


def test_what_is_no_float_stays_and_half_precision_stays_half() -> None:
    whole = np.arange(12, dtype=np.int8).reshape(3, 4)
    model = graph(
        "g (float16[N,4] x, uint8[N,3] i) => (float16[N,2] y, int32[N,4] z) "
        "{ y = MatMul(x, w) z = MatMulInteger(i, q) }",
        w=normal(4, 2).astype(np.float16),
        q=whole,
    )
    made = initialize(model)
    tensor = constant_tensor(made.ir.graph.initializers["q"])
    assert tensor is not None
    np.testing.assert_array_equal(tensor.numpy(), whole)
    assert type_of(made.ir.graph.initializers["w"]).dtype == model.parameters["w"].dtype


def test_a_shared_weight_is_drawn_once() -> None:
    model = graph(
        "g (float[N,5] x) => (float[N,5] y) { h = MatMul(x, w) y = MatMul(h, w) }", w=normal(5, 5)
    )
    made = initialize(model)
    assert len(made.ir.graph.initializers) == 1
    assert (weights(made)["w"] != weights(model)["w"]).all()
