"""What the table says, ONNX Runtime does: every rule gives an integer kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.graph.model import Model
from onnxpress.graph.weights import find_weight
from onnxpress_quantization.kernels import KERNELS
from tests.graphs import graph, normal
from tests.plugins.quantization.running import noise, optimized, quantized, samples

# An operator between two convolutions: m → n, both of four channels and 8 × 8.
BETWEEN: dict[str, tuple[str, dict[str, Any]]] = {
    "Add": ("n = Add(m, o)", {}),
    "AveragePool": ("n = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(m)", {}),
    "Concat": ("s, t = Split<axis=1, num_outputs=2>(m) n = Concat<axis=1>(s, t)", {}),
    "Conv": ("n = Conv<group=4>(m, k)", {"k": normal(4, 1, 1, 1)}),
    "DepthToSpace": (
        "q = Conv<strides=[2,2]>(m, k) n = DepthToSpace<blocksize=2>(q)",
        {"k": normal(16, 4, 1, 1)},
    ),
    "Expand": ("p = GlobalAveragePool(m) n = Expand(p, k)", {"k": np.array([1, 4, 8, 8])}),
    "Flatten": ("f = Flatten(m) n = Reshape(f, k)", {"k": np.array([-1, 4, 8, 8])}),
    "Gather": ("n = Gather<axis=1>(m, k)", {"k": np.array([3, 2, 0, 1])}),
    "GlobalAveragePool": ("p = GlobalAveragePool(m) n = Mul(m, p)", {}),
    "Identity": ("n = Identity(m)", {}),
    "LeakyRelu": ("n = LeakyRelu<alpha=0.1>(m)", {}),
    "MaxPool": ("n = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(m)", {}),
    "Mul": ("n = Mul(o, m)", {}),
    "Pad": ("p = Pad(m, k) n = MaxPool<kernel_shape=[3,3]>(p)", {"k": np.tile([0, 0, 1, 1], 2)}),
    "ReduceMax": (
        "r = ReduceMax(m, a) n = Expand(r, k)",
        {"a": np.array([2, 3]), "k": np.array([1, 4, 8, 8])},
    ),
    "ReduceMin": (
        "r = ReduceMin(m, a) n = Expand(r, k)",
        {"a": np.array([2, 3]), "k": np.array([1, 4, 8, 8])},
    ),
    "Reshape": (
        "r = Reshape(m, k) n = Reshape(r, j)",
        {"k": np.array([-1, 4, 64]), "j": np.array([-1, 4, 8, 8])},
    ),
    "Resize": ("n = Resize(m, , k)", {"k": np.ones(4)}),
    "Sigmoid": ("s = Sigmoid(m) n = Mul(m, s)", {}),
    "Slice": (
        "s = Slice(m, k, e, a) n = Tile(s, t)",
        {
            "k": np.array([0]),
            "e": np.array([2]),
            "a": np.array([1]),
            "t": np.array([1, 2, 1, 1]),
        },
    ),
    "Split": ("s, t = Split<axis=1, num_outputs=2>(m) n = Concat<axis=1>(t, s)", {}),
    "Squeeze": ("f = Unsqueeze(m, k) n = Squeeze(f, k)", {"k": np.array([2])}),
    "Tile": ("p = GlobalAveragePool(m) n = Tile(p, k)", {"k": np.array([1, 1, 8, 8])}),
    "Transpose": ("n = Transpose<perm=[0,1,3,2]>(m)", {}),
    "Unsqueeze": ("f = Unsqueeze(m, k) n = Squeeze(f, k)", {"k": np.array([2])}),
    "Where": ("n = Where(k, m, o)", {"k": normal(8, 8) > 0}),
}
PRODUCTS: dict[str, tuple[str, dict[str, Any]]] = {
    "Gemm": ("n = Gemm(m, k, c)", {"k": normal(4, 4), "c": normal(4)}),
    "Gemm with transB": ("n = Gemm<transB=1>(m, k)", {"k": normal(4, 4)}),
    "MatMul": ("n = MatMul(m, k)", {"k": normal(4, 4)}),
    "MatMul and bias": ("p = MatMul(m, k) n = Add(p, c)", {"k": normal(4, 4), "c": normal(4)}),
    "MatMul, bias and Relu": (
        "p = MatMul(m, k) q = Add(c, p) n = Relu(q)",
        {"k": normal(4, 4), "c": normal(4)},
    ),
}


def between(case: str) -> Model:
    text, constants = BETWEEN[case]
    return graph(
        f"""g (float[1,4,8,8] x) => (float[1,4,8,8] y) {{
            m = Conv(x, w) o = Conv(x, v) {text} y = Conv(n, u)
        }}""",
        **{name: normal(4, 4, 1, 1, seed=ord(name)) for name in "wvu"},
        **constants,
    )


def test_every_rule_has_a_case() -> None:
    tested = {case.split()[0].rstrip(",") for case in (*BETWEEN, *PRODUCTS)}
    assert {rule.op for rule in KERNELS} == tested


@pytest.mark.parametrize("activations", ["uint8", "int8"])
@pytest.mark.parametrize("case", BETWEEN)
def test_between_convolutions_nothing_is_converted(
    case: str, activations: str, tmp_path: Path
) -> None:
    model = between(case)
    data = samples(model, batch=1)
    result, job = quantized(model, data, activations=activations)
    found = optimized(result, tmp_path)
    assert found["QuantizeLinear"] == 1  # at the input
    assert found["DequantizeLinear"] == 1  # at the output
    assert found["Conv"] + found["FusedConv"] + found[case] * (case in {"Add", "Mul"}) == 0
    assert job.declined == []
    feeds = next(iter(data)).feeds
    assert noise(model.run(feeds)["y"], result.run(feeds)["y"]) < 0.01


@pytest.mark.parametrize("activations", ["uint8", "int8"])
@pytest.mark.parametrize("granularity", ["per-channel", "per-tensor"])
@pytest.mark.parametrize("case", PRODUCTS)
def test_products_of_matrices(
    case: str, granularity: str, activations: str, tmp_path: Path
) -> None:
    text, constants = PRODUCTS[case]
    model = graph(
        f"g (float[N,4] x) => (float[N,4] y) {{ m = MatMul(x, w) {text} y = MatMul(n, u) }}",
        w=normal(4, 4, seed=1),
        u=normal(4, 4, seed=2),
        **constants,
    )
    data = samples(model, batch=8)
    result, _ = quantized(model, data, granularity=granularity, activations=activations)
    found = optimized(result, tmp_path)
    integer = found["QGemm"] + found["QLinearMatMul"] + found["MatMulIntegerToFloat"]
    assert integer == 3
    assert found["Gemm"] + found["MatMul"] + found["FusedGemm"] == 0
    assert found["DequantizeLinear"] == 0  # the last product gives floats by itself
    feeds = next(iter(data)).feeds
    assert noise(model.run(feeds)["y"], result.run(feeds)["y"]) < 0.01


@pytest.mark.parametrize("activation", ["Relu(p)", "Clip(p, lo, hi)", "Clip(p, , hi)"])
@pytest.mark.parametrize("first", ["Conv(x, w)", "Conv(x, w, b)", "Add(x, c)"])
@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_activations_are_swallowed(
    first: str, activation: str, activations: str, tmp_path: Path
) -> None:
    model = graph(
        f"""g (float[1,4,8,8] i) => (float[1,4,8,8] y) {{
            x = Conv(i, v) c = Conv(i, u) p = {first} n = {activation} y = Conv(n, t)
        }}""",
        **{name: normal(4, 4, 1, 1, seed=ord(name)) for name in "wvut"},
        b=normal(4),
        lo=np.float32(-0.37),
        hi=np.float32(1.9),
    )
    result, _ = quantized(model, activations=activations)
    found = optimized(result, tmp_path)
    assert found["QuantizeLinear"] == found["DequantizeLinear"] == 1
    assert found["Relu"] + found["Clip"] + found["FusedConv"] + found["Conv"] == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("n = Gemm<transA=1>(q, k) y = Flatten(n)", "transposed"),
        ("n = Gemm<alpha=0.5>(q, k) y = Flatten(n)", "scales its result"),
        ("n = Gemm(k, q) y = Flatten(n)", "left operand"),
        ("n = Gemm(q, k, k) y = Flatten(n)", "differs from row to row"),
        ("n = Gemm(q, k, q) y = Flatten(n)", "bias is computed"),
        ("n = MatMul(q, q) y = Flatten(n)", "both operands are computed"),
        ("n = MatMul(k, q) y = Flatten(n)", "weight is on the left"),
        ("h = Unsqueeze(k, o) n = MatMul(q, h) y = Flatten(n)", "3 axes"),
    ],
)
def test_a_node_without_a_kernel_says_why(text: str, reason: str) -> None:
    model = graph(
        f"g (float[4,4] x) => (float[A,B] y) {{ q = MatMul(x, k) {text} }}",
        k=normal(4, 4),
        o=np.array([0]),
    )
    _, job = quantized(model)
    assert [reason in declined.reason for declined in job.declined] == [True]


def test_weights_may_lie_behind_other_nodes(tmp_path: Path) -> None:
    model = graph(
        """g (float[N,4] x) => (float[N,6] y) {
            t = Transpose(w) i = Identity(t) y = MatMul(x, i)
        }""",
        w=normal(6, 4),
    )
    result, _ = quantized(model)
    assert optimized(result, tmp_path)["MatMulIntegerToFloat"] == 1
    weight = find_weight("weight", next(iter(result.ir.graph)).inputs[0], None, None)
    assert weight is not None
    assert weight.shape == (4, 6)
