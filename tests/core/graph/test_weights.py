"""What counts as a constant, and what a weight says of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxpress.graph.weights import Weight, is_constant, stored_constant
from tests.graphs import graph, normal


def weight_of(nodes: str, **tensors: Any) -> Weight:
    """Return the weight of the MatMul that reads ``u``."""
    model = graph(f"g (float[N,4] x) => (float[N,M] y) {{ {nodes} y = MatMul(x, u) }}", **tensors)
    (layer,) = model.layers
    return layer.weight


QUANTIZED: dict[str, Any] = {
    "w": np.arange(-4, 4, dtype=np.int8).reshape(4, 2),
    "s": np.float32(0.5),
    "z": np.int8(1),
}


def test_a_plain_initializer() -> None:
    weight = weight_of("u = Identity(w)", w=normal(4, 2))
    assert (weight.name, weight.shape, weight.size) == ("w", (4, 2), 8)
    assert weight.used_as.name == "u"
    assert [node.op_type for node in weight.path] == ["Identity"]
    assert (weight.precision, weight.trainable) == ("float32", True)
    assert np.array_equal(weight.array(), normal(4, 2))


@pytest.mark.parametrize(
    ("nodes", "tensors", "precision", "trainable"),
    [
        ("u = Cast<to=1>(w)", {"w": normal(4, 2).astype(np.float16)}, "float16", True),
        ("u = Cast<to=1>(w)", {"w": np.ones((4, 2), np.int8)}, "int8", False),
        ("u = DequantizeLinear(w, s, z)", QUANTIZED, "int8", False),
        ("i = Identity(s) u = DequantizeLinear(w, i, z)", QUANTIZED, "int8", False),
        (
            "q = QuantizeLinear(w, s, z) u = DequantizeLinear(q, s, z)",
            {**QUANTIZED, "w": normal(4, 2)},
            "int8",
            True,
        ),
        (
            "q = QuantizeLinear(w, s) u = DequantizeLinear(q, s)",
            {"w": normal(4, 2), "s": np.float32(0.5)},
            "uint8",
            True,
        ),
        (
            "q = QuantizeLinear<output_dtype=22>(w, s) u = DequantizeLinear(q, s)",
            {"w": normal(4, 2), "s": np.float32(0.5)},
            "int4",
            True,
        ),
    ],
)
def test_precision(nodes: str, tensors: dict[str, Any], precision: str, trainable: bool) -> None:  # noqa: FBT001
    weight = weight_of(nodes, **tensors)
    assert (weight.precision, weight.trainable, weight.name) == (precision, trainable, "w")


def test_four_bit_weights() -> None:
    w = onnx.helper.make_tensor("w", onnx.TensorProto.INT4, [4, 2], [-8, 7, 0, 1, 2, 3, 4, 5])
    weight = weight_of("u = DequantizeLinear(w, s)", w=w, s=np.float32(0.5))
    assert (weight.precision, weight.shape) == ("int4", (4, 2))


@pytest.mark.parametrize(
    "nodes",
    [
        "u = Mul(w, w)",  # computed
        "t = Transpose(x) u = Reshape(w, k)",  # k comes from the activation
        "u = DequantizeLinear(w8, s)",  # s comes from the activation
    ],
)
def test_what_is_computed_is_no_constant(nodes: str) -> None:
    model = graph(
        f"""g (float[N,4] x) => (float y) {{
            k = Shape(x)
            s = ReduceMax<keepdims=0>(x)
            {nodes}
            y = MatMul(x, u)
        }}""",
        w=normal(4, 4),
        w8=np.ones((4, 4), np.int8),
    )
    assert stored_constant(model.ir.graph[-1].inputs[1]) is None
    assert model.layers == ()


@pytest.mark.parametrize(
    "constant",
    [
        "Constant<value = float[2,2] {1,2,3,4}>()",
        "Constant<value_floats = [1.0, 2.0]>()",
        "Constant<value_float = 1.0>()",
        "Constant<value_ints = [1]>()",
        "Constant<value_int = 1>()",
    ],
)
def test_constant_nodes_are_constants(constant: str) -> None:
    model = graph(
        f"g (float[2] x) => (float y) {{ c = {constant} d = Cast<to=1>(c) y = Add(x, d) }}"
    )
    assert is_constant(model.ir.graph[0].outputs[0])
    assert not is_constant(model.ir.graph[1].outputs[0])
    found = stored_constant(model.ir.graph[1].outputs[0])
    assert found is not None
    assert found[0].name == "c"


def test_strings_are_no_weights() -> None:
    model = graph('g () => (string y) { c = Constant<value_string = "a">() y = Identity(c) }')
    assert not is_constant(model.ir.graph[0].outputs[0])


def test_an_initializer_that_a_caller_may_override_is_no_constant() -> None:
    model = graph(
        "g (float[N,4] x, float[4,2] w) => (float y) { y = MatMul(x, w) }", w=normal(4, 2)
    )
    assert [v.name for v in model.inputs] == ["x"]
    assert model.layers == ()


def test_cast_like_follows_the_type_of_an_activation() -> None:
    weight = weight_of("u = CastLike(w, x)", w=normal(4, 2).astype(np.float16))
    assert weight.precision == "float16"


def test_weights_of_a_batch_normalisation_that_training_may_change() -> None:
    model = graph(
        "g (float[N,4,2,2] x) => (float y) { y = BatchNormalization(x, s, b, m, v) }",
        **{name: np.ones(4, np.float32) for name in "sbmv"},
    )
    assert [(w.role, w.trainable) for w in model.layers[0].weights] == [
        ("scale", True),
        ("bias", True),
        ("mean", False),
        ("variance", False),
    ]
    assert set(model.parameters) == {"s", "b"}


@pytest.mark.parametrize("shape", [(0, 2), (4, 0)])
def test_empty_weights_do_no_harm(shape: tuple[int, int]) -> None:
    model = graph(
        "g (float[N,K] x) => (float[N,M] y) { y = MatMul(x, w) }", w=np.zeros(shape, np.float32)
    )
    assert model.layers[0].weight.size == 0
    assert (
        numpy_helper.to_array(numpy_helper.from_array(model.layers[0].weight.array())).shape
        == shape
    )
