"""Which operators compute in integers: only where that saves conversions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxpress.graph.model import Model
from tests.graphs import graph, normal
from tests.plugins.quantization.running import (
    CONVERSIONS,
    noise,
    optimized,
    quantized,
    reported,
    samples,
)

WEIGHTS = {name: normal(4, 4, 1, 1, seed=ord(name)) for name in "wvut"}


def image_net(text: str, outputs: str = "y") -> Model:
    results = ", ".join(f"float[A,B,C,D] {name}" for name in outputs.split())
    return graph(f"g (float[1,4,8,8] x) => ({results}) {{ {text} }}", **WEIGHTS)


def in_float(model: Model, folder: Path) -> set[str]:
    """Return the operators that compute in float in ONNX Runtime."""
    integer = {"Transpose", "Reshape", "Split", "NhwcMaxPool"}
    return {
        op
        for op in optimized(model, folder)
        if not op.startswith("QLinear") and op not in CONVERSIONS | integer
    }


@pytest.mark.parametrize(
    ("text", "floats"),
    [
        # Between layers everything that can is in integers.
        ("a = Conv(x, w) b = Sigmoid(a) c = Mul(a, b) y = Conv(c, v)", set()),
        # Behind the last layer, new values are made in float: scores, boxes.
        ("a = Conv(x, w) y = Sigmoid(a)", {"Sigmoid"}),
        (
            "a = Conv(x, w) b = Conv(x, v) s = Sigmoid(b) y = Concat<axis=1>(a, s)",
            {"Sigmoid", "Concat"},
        ),
        # Values that are only moved stay integers for longer.
        ("a = Conv(x, w) y = MaxPool<kernel_shape=[2,2]>(a)", set()),
        # In front of the first layer, a picture is moved as integers, but not computed with.
        ("a = Transpose<perm=[0,1,3,2]>(x) y = Conv(a, w)", set()),
        ("a = Add(x, x) y = Conv(a, w)", {"Add"}),
        # An island of float does not take its neighbours with it.
        ("a = Conv(x, w) b = Exp(a) y = Conv(b, v)", {"Exp"}),
        # All that a sum reads is in integers, and it leads on to further layers.
        ("a = Conv(x, w) b = Conv(x, v) c = Add(a, b) d = Exp(c) y = Conv(d, u)", {"Exp"}),
        # A sum of one integer tensor and a float one, with float behind, is done in float.
        ("e = Exp(x) a = Conv(x, w) c = Add(a, e) d = Exp(c) y = Conv(d, u)", {"Exp", "Add"}),
        # The same with a layer behind is worth converting the other one.
        ("e = Exp(x) a = Conv(x, w) c = Add(a, e) y = Conv(c, u)", {"Exp"}),
    ],
)
def test_what_computes_in_float(text: str, floats: set[str], tmp_path: Path) -> None:
    result, _ = quantized(image_net(text))
    assert in_float(result, tmp_path) == floats


def test_the_last_product_gives_floats_that_nobody_rounded(tmp_path: Path) -> None:
    model = graph(
        """g (float[N,6] x) => (float[N,3] y) {
            a = Gemm(x, w, b) r = Relu(a) l = Gemm(r, v) y = Softmax(l)
        }""",
        w=normal(6, 8),
        b=normal(8),
        v=normal(8, 3),
    )
    result, _ = quantized(model)
    assert optimized(result, tmp_path) == {"QuantizeLinear": 1, "QGemm": 2, "Softmax": 1}


def test_a_result_that_is_read_inside_the_model_too_keeps_its_name(tmp_path: Path) -> None:
    model = image_net("a = Conv(x, w) z = Relu(a) y = Conv(z, v)", "z y")
    result, _ = quantized(model)
    assert [v.name for v in result.outputs] == ["z", "y"]
    assert in_float(result, tmp_path) == set()
    feeds = next(iter(samples(model))).feeds
    assert (result.run(feeds)["z"] >= 0).all()


def test_float_readers_of_a_float_tensor_get_it_unrounded() -> None:
    model = image_net("y = Conv(x, w) z = Exp(x)", "y z")
    result, _ = quantized(model)
    feeds = next(iter(samples(model, batch=1))).feeds
    np.testing.assert_allclose(result.run(feeds)["z"], np.exp(feeds["x"]), rtol=1e-6)


def test_one_tensor_is_rounded_once_for_all_readers() -> None:
    model = image_net("a = Conv(x, w) b = Conv(x, v) c = Conv(x, u) y = Sum(a, b, c)")
    result, _ = quantized(model)
    assert sum(n.op_type == "QuantizeLinear" for n in result.ir.graph) == 4


def test_moved_values_keep_their_grid() -> None:
    text = "a = Conv(x, w) b = MaxPool<kernel_shape=[2,2]>(a) c = Transpose(b) y = Conv(c, v)"
    result, _ = quantized(image_net(text.replace("Transpose(b)", "Transpose<perm=[0,1,3,2]>(b)")))
    scales = {
        n.outputs[0].name: n.inputs[1] for n in result.ir.graph if n.op_type == "QuantizeLinear"
    }
    assert scales["a_q"] is scales["b_q"] is scales["c_q"]
    assert len({id(scale) for scale in scales.values()}) == 3


def test_what_breaks_a_chain_is_said() -> None:
    _, job = quantized(image_net("a = Conv(x, w) b = HardSwish(a) y = Conv(b, v)"))
    assert reported(job)[1] == {"b": "ONNX Runtime has no integer kernel for HardSwish"}


def test_a_relu_behind_a_pool_goes_in_front_of_it(tmp_path: Path) -> None:
    text = "a = Conv(x, w) b = MaxPool<kernel_shape=[2,2]>(a) c = Relu(b) y = Conv(c, v)"
    model = image_net(text)
    result, _ = quantized(model)
    assert in_float(result, tmp_path) == set()
    feeds = next(iter(samples(model, batch=1))).feeds
    assert noise(model.run(feeds)["y"], result.run(feeds)["y"]) < 0.01


def test_division_by_a_number_is_a_multiplication(tmp_path: Path) -> None:
    model = graph(
        "g (float[1,4,8,8] x) => (float[1,4,8,8] y) { a = Conv(x, w) b = Conv(x, v) "
        "m = Mul(a, b) d = Div(m, k) y = Conv(d, u) }",
        k=np.float32(6),
        **WEIGHTS,
    )
    result, _ = quantized(model)
    assert in_float(result, tmp_path) == set()
