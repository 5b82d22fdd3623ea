"""The step itself: what it promises of results, what it leaves alone, what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from pydantic import ValidationError

from onnxpress.errors import DataError, ModelError, UnknownNameError, UsageError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.rules import Rule
from onnxpress.session import Session
from onnxpress.testing import check_transform, small_classifier
from onnxpress_quantization import LinearQuantization
from onnxpress_quantization.kernels import Kernel
from tests.core.calibration.data import Arrays
from tests.graphs import graph, normal
from tests.plugins.quantization.running import (
    CONVERSIONS,
    noise,
    operators,
    optimized,
    quantized,
    reported,
    samples,
)

TWO = """g (float[N,6] x) => (float[N,4] y) {
    a = Gemm(x, w, b) r = Relu(a) y = Gemm(r, v)
}"""


@pytest.fixture
def model() -> Model:
    return graph(TWO, w=normal(6, 8), b=normal(8), v=normal(8, 4))


def stored(model: Model) -> list[ir.TensorProtocol]:
    values = model.ir.graph.initializers.values()
    return [value.const_value for value in values if value.const_value is not None]


def test_what_it_adds_takes_few_bytes(model: Model, tmp_path: Path) -> None:
    result, _ = quantized(model)
    added = [node for node in result.ir.graph if node.op_type in CONVERSIONS]
    assert {node.name for node in added} == {""}  # the name of what it computes says enough
    axes = {node.outputs[0].name: "axis" in node.attributes for node in added}
    assert (axes["w_d"], axes["b_d"]) == (False, True)  # 1 is usual, of a vector it is 0
    names = {value.name or "" for value in result.ir.graph.initializers.values()}
    assert {name.split("_")[0] for name in names} == {"w", "b", "v", "s", "z"}
    result.save(tmp_path / "m.onnx")
    assert not onnx.load(tmp_path / "m.onnx").graph.value_info


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_zero_points_of_biases_go_without_saying(activations: str, tmp_path: Path) -> None:
    image = "g (float[N,3,8,8] x) => (float[N,5] y) { c = Conv(x, k, b) r = Relu(c) "
    model = graph(image + "f = Flatten(r) y = Gemm(f, v, d) }", k=normal(4, 3, 3, 3),
                  b=normal(4), v=normal(144, 5), d=normal(5))  # fmt: skip
    result, _ = quantized(model, activations=activations)
    edit = result.edit()
    for node in list(edit.graph):
        if node.op_type == "DequantizeLinear" and len(node.inputs) == 2:
            scale = node.inputs[1]
            assert scale is not None
            assert scale.shape is not None
            node.resize_inputs(3)
            zeros = edit.constant(np.zeros(scale.shape.numpy(), np.int32), "zeros")
            node.replace_input_with(2, zeros)
    spelled_out = edit.done()
    assert [len(n.inputs) for n in spelled_out.ir.graph if "Dequantize" in n.op_type].count(2) == 0
    kinds = [optimized(m, tmp_path) for m in (result, spelled_out)]
    assert kinds[0] == kinds[1]
    assert {"QLinearConv", "QGemm"} <= set(kinds[0])
    x = normal(3, 3, 8, 8)
    one, other = (Session(m).run({"x": x})["y"] for m in (result, spelled_out))
    assert one.tobytes() == other.tobytes()


OPTIONS: list[dict[str, Any]] = [
    {},
    {"activations": "int8"},
    {"granularity": "per-tensor"},
    {"calibration": "percentile"},
    {"calibration": "percentile", "percentile": 99.0},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_laws_of_a_transform(options: dict[str, Any]) -> None:
    classifier = small_classifier()
    result = check_transform(LinearQuantization(**options), classifier, samples(classifier))
    feeds = next(iter(samples(classifier))).feeds
    assert noise(classifier.run(feeds)["scores"], result.run(feeds)["scores"]) < 0.02


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_integer_kernels_give_what_the_graph_says(activations: str) -> None:
    classifier = small_classifier()
    result, _ = quantized(classifier, activations=activations)
    feeds = next(iter(samples(classifier, batch=8))).feeds
    said = Session(result, optimize=False).run(feeds)["scores"]
    fused = Session(result).run(feeds)["scores"]
    # The last product gives floats; before it, a rounding may fall to the other side.
    step = float(np.abs(said).max()) / 255
    assert np.abs(said - fused).max() <= step


def test_all_weights_are_integers_and_no_float_ones_are_left() -> None:
    classifier = small_classifier()
    result, job = quantized(classifier)
    assert {tensor.dtype for tensor in stored(result) if tensor.size > 16} == {ir.DataType.INT8}
    changed, declined = reported(job)
    assert set(changed) == {layer.name for layer in classifier.layers}
    assert declined == {}
    assert {layer.precision for layer in result.layers} == {"int8"}
    assert {layer.weight.name for layer in result.layers} == {"w1", "w2", "w3", "w4"}


def test_the_report_gives_figures(model: Model) -> None:
    changed, _ = reported(quantized(model)[1])
    assert changed["a"]["weight"] == "int8"
    assert changed["a"]["granularity"] == "per-channel"
    assert changed["a"]["input"] == "uint8"
    assert changed["a"]["weight_scale"] == pytest.approx(np.abs(normal(6, 8)).max() / 127)


def test_the_input_is_left_as_it_was(model: Model) -> None:
    before = operators(model)
    quantized(model)
    assert operators(model) == before


def test_twice_is_once(model: Model) -> None:
    once, _ = quantized(model)
    twice, job = quantized(once, samples(model))
    assert twice is once
    assert set(reported(job)[1].values()) == {"it is quantized already"}


# Choosing layers.


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"a", "y"}),
        ({"layers": "a"}, {"a"}),
        ({"exclude": ["a"]}, {"y"}),
        ({"op_types": "Gemm"}, {"a", "y"}),
        ({"layers": ["op:Gemm"], "exclude": ["re:[ay]"]}, set()),
    ],
)
def test_layers_are_chosen_by_pattern(
    model: Model, options: dict[str, Any], expected: set[str]
) -> None:
    result, job = quantized(model, **options)
    assert set(reported(job)[0]) == expected
    assert job.declined == []
    integer = {layer.name for layer in result.layers if layer.precision == "int8"}
    assert integer == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "b"}, "no layer called 'b'"),
        ({"exclude": "op:Conf"}, "called 'Conf'; known: Gemm"),
        ({"op_types": "Gem"}, "did you mean 'Gemm'"),
    ],
)
def test_a_name_that_nothing_has_is_an_error(
    model: Model, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnknownNameError, match=message):
        quantized(model, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"percentile": 50},
        {"percentile": 101},
        {"weights": "int3"},
        {"activations": "float8"},
        {"calibration": "entropie"},
        {"layer": "a"},
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LinearQuantization(**options)


def test_without_data_it_says_how_to_give_some(model: Model) -> None:
    with pytest.raises(UsageError, match="linear-quantization needs data; give some with --data"):
        LinearQuantization().apply(model, Job())


def test_an_old_opset_is_refused(model: Model) -> None:
    old = model.edit()
    old.ir.opset_imports[""] = 12
    with pytest.raises(ModelError, match="opset 12, and quantizers need 13"):
        LinearQuantization().apply(Model(old.ir), Job())


def test_activations_that_are_no_numbers_name_tensor_and_batch(model: Model) -> None:
    data = Arrays([normal(2, 6), np.full((2, 6), np.nan, np.float32)])
    with pytest.raises(DataError, match=r"'x' holds NaN in batch 2 "):
        quantized(model, data)


# Ordinary life.


def test_normalisations_are_folded_first() -> None:
    model = graph(
        """g (float[1,4,8,8] x) => (float[1,4,8,8] y) {
            c = Conv(x, w) n = BatchNormalization(c, s, b, m, v) y = Relu(n)
        }""",
        w=normal(4, 4, 1, 1),
        s=np.ones(4),
        b=normal(4),
        m=normal(4),
        v=np.linspace(0.1, 9, 4),
    )
    result, job = quantized(model)
    assert "BatchNormalization" not in operators(result)
    assert reported(job)[0]["c"]["folded"] == ["BatchNormalization"]


def test_functions_are_inlined(tmp_path: Path) -> None:
    model = graph(
        """<ir_version: 10, opset_import: ["": 21, "local": 1]>
        g (float[N,6] x) => (float[N,6] y) { h = local.dense(x, w) y = local.dense(h, v) }
        <domain: "local", opset_import: ["": 21]> dense (a, b) => (c) { m = MatMul(a, b)
            c = Relu(m) }""",
        w=normal(6, 6),
        v=normal(6, 6, seed=1),
    )
    result, job = quantized(model)
    assert len(job.changed) == 2
    assert optimized(result, tmp_path)["MatMul"] == 0
    one, job = quantized(model, layers=[model.layers[0].name])
    assert len(job.changed) == 1
    assert {layer.precision for layer in one.layers} == {"int8", "float32"}


@pytest.mark.parametrize(
    ("text", "weights", "reason"),
    [
        (
            """g (float[N,6] x, bool c) => (float[N,6] y) { y = If(c) <
                then_branch = t () => (float[N,6] a) { a = MatMul(x, w) },
                else_branch = e () => (float[N,6] b) { b = Relu(x) }
            > }""",
            {"w": normal(6, 6)},
            "inside a subgraph",
        ),
        (
            "g (float[S,N,6] x) => (float[S,1,N,6] y) { y = LSTM<hidden_size=6>(x, w, r) }",
            {"w": normal(1, 24, 6), "r": normal(1, 24, 6)},
            "LSTM has no static integer form",
        ),
        (
            "g (float16[N,6] x) => (float16[N,6] y) { y = MatMul(x, w) }",
            {"w": normal(6, 6).astype(np.float16)},
            "computes in float16",
        ),
        (
            "g (int64[N] x) => (float[N,6] y) { y = Gather(w, x) }",
            {"w": normal(9, 6)},
            "looked up",
        ),
        (
            "g (float[1,6,4,4] x) => (float[1,6,4,4] y) { y = ConvTranspose(x, w) }",
            {"w": normal(6, 6, 1, 1)},
            "no integer kernel for ConvTranspose",
        ),
        (
            "g (float[N,6] x) => (float[N,6] y) { y = MatMul(x, w) }",
            {"w": np.full((6, 6), np.nan)},
            "NaN or infinite",
        ),
        (
            "g (float[N,6] x, float[6,6] w) => (float[N,6] y) { y = MatMul(x, w) }",
            {"w": normal(6, 6)},
            "freeze makes it a constant",
        ),
    ],
)
def test_what_can_not_be_quantized_stays_with_a_reason(
    text: str, weights: dict[str, Any], reason: str
) -> None:
    model = graph(text, **weights)
    job = Job(data=Arrays([]))
    assert LinearQuantization().apply(model, job) is model
    assert [reason in declined.reason for declined in job.declined] == [True]
    assert job.changed == []


def test_inputs_that_only_override_weights_can_be_frozen() -> None:
    model = graph(
        "g (float[N,6] x, float[6,6] w) => (float[N,6] y) { y = MatMul(x, w) }", w=normal(6, 6)
    )
    result, job = quantized(model, samples(model), freeze=True)
    assert [v.name for v in result.ir.graph.inputs] == ["x"]
    assert len(job.changed) == 1


def test_a_weight_that_is_read_twice_is_stored_once() -> None:
    model = graph(
        "g (float[N,6] x) => (float[N,6] y) { a = MatMul(x, w) r = Relu(a) y = MatMul(r, w) }",
        w=normal(6, 6),
    )
    result, _ = quantized(model)
    assert [tensor.size for tensor in stored(result)].count(36) == 1


def test_zeros_stay_zeros() -> None:
    weight = normal(8, 8)
    weight[:, 2] = 0
    weight[3] = 0
    model = graph("g (float[N,8] x) => (float[N,8] y) { y = Gemm(x, w, b) }", w=weight, b=normal(8))
    result, _ = quantized(model)
    integers = result.layers[0].weight.array()
    np.testing.assert_array_equal(integers == 0, np.abs(weight) <= np.abs(weight).max(0) / 254)
    feeds = next(iter(samples(model))).feeds
    # A channel of zeros gives its bias.
    np.testing.assert_allclose(result.run(feeds)["y"][:, 2], normal(8)[2], rtol=0.01)


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0])
def test_constant_activations(value: float) -> None:
    model = graph("g (float[N,4] x) => (float[N,4] y) { y = MatMul(x, w) }", w=np.eye(4))
    feeds = np.full((2, 4), value, np.float32)
    result, _ = quantized(model, Arrays([feeds]))
    np.testing.assert_allclose(result.run({"x": feeds})["y"], feeds, atol=0.02)


def test_a_bias_beyond_int32_widens_the_weight_scale() -> None:
    model = graph(
        "g (float[N,4] x) => (float[N,4] y) { y = Gemm(x, w, b) }",
        w=np.eye(4) * 1e-8,
        b=np.array([1e5, 0, 0, 0]),
    )
    data = Arrays([normal(4, 4)])
    result, job = quantized(model, data)
    assert reported(job)[0]["y"]["widened_channels"] == 1
    np.testing.assert_allclose(result.run({"x": normal(4, 4)})["y"][:, 0], 1e5, rtol=1e-5)


def test_ranges_that_never_reach_a_value_are_clipped() -> None:
    model = graph("g (float[N,4] x) => (float[N,4] y) { y = MatMul(x, w) }", w=np.eye(4))
    result, _ = quantized(model, Arrays([np.linspace(0, 1, 8, dtype=np.float32).reshape(2, 4)]))
    found = result.run({"x": np.array([[2, -1, 0.5, 0]], np.float32)})["y"]
    np.testing.assert_allclose(found, [[1, 0, 0.5, 0]], atol=0.01)


def test_custom_operators_in_between_are_left_alone(tmp_path: Path) -> None:
    model = graph(
        """g (float[N,6] x) => (float[N,6] y) {
            a = MatMul(x, w) g = com.microsoft.Gelu(a) y = MatMul(g, v)
        }""",
        w=normal(6, 6),
        v=normal(6, 6, seed=1),
    )
    result, job = quantized(model)
    assert optimized(result, tmp_path)["Gelu"] == 1
    assert len(job.changed) == 2


def test_a_partly_quantized_model_keeps_the_grids_it_has() -> None:
    model = graph(
        """g (float[N,6] x) => (float[N,6] y) {
            q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = MatMul(d, w)
        }""",
        s=np.float32(0.05),
        z=np.uint8(100),
        w=normal(6, 6),
    )
    result, job = quantized(model)
    assert operators(result).count("QuantizeLinear") == 1
    assert reported(job)[0]["y"]["input_scale"] == pytest.approx(0.05)


def test_a_plugin_can_teach_it_another_operator() -> None:
    model = graph(
        "g (float[N,6] x) => (float[N,6] y) { a = MatMul(x, w) h = Exp(a) y = MatMul(h, w) }",
        w=normal(6, 6),
    )
    rule = Rule("quantization", "Exp", lambda _node, _constant: Kernel("mix"))
    plain = Job(data=samples(model))
    LinearQuantization().apply(model, plain)
    taught = Job(data=samples(model), rules=(rule,))
    result = LinearQuantization().apply(model, taught)
    assert [d.subject for d in plain.declined] == []
    assert operators(result).count("QuantizeLinear") == 3  # x, a, h: Exp reads integers now


def test_declaring_the_step_loads_no_engine() -> None:
    code = (
        "import sys, onnxpress_quantization; "
        "print({'onnx_ir', 'onnx', 'onnxruntime', 'numpy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "set()"
