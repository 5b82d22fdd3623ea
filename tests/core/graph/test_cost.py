"""Published numbers come out exactly; every rule of the table agrees with a plain count."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onnxpress.errors import UnknownNameError
from onnxpress.graph.cost import COST, ShapeOf
from onnxpress.graph.model import Model
from onnxpress.rules import Rule
from tests.graphs import graph, mobilenet_v1, normal, resnet20

# shared/FACTS.md, 87: MACs of MobileNetV1, layer by layer.
MOBILENET = [
    *(10838016, 3612672, 25690112, 1806336, 25690112, 3612672, 51380224, 903168, 25690112),
    *(1806336, 51380224, 451584, 25690112, 903168, *(51380224, 903168) * 4, 51380224),
    *(225792, 25690112, 451584, 51380224, 1024000),
]


def test_resnet20() -> None:
    cost = Model.from_proto(resnet20()).cost()
    assert (cost.macs, cost.weights) == (40_813_184, 270_896)
    # batch normalisations: 4 numbers for each of 784 channels; the bias of the last layer
    assert cost.parameters == 270_896 + 4 * 784 + 10
    assert (cost.assumed, dict(cost.unknown)) == (("N",), {})


def test_mobilenet() -> None:
    model = Model.from_proto(mobilenet_v1())
    cost = model.cost()
    layers = [layer.name for layer in model.layers if not layer.normalizes]
    assert [cost.layers[name] for name in layers] == MOBILENET
    assert cost.macs == sum(MOBILENET) == 568_740_352
    assert cost.weights == 4_209_088


def test_of_a_real_export_with_computed_paddings(shared: object) -> None:
    """Option A of the ResNet paper: Pad in place of projections, with computed paddings."""
    for name in ("resnet20", "resnet20_bn", "resnet20_dynamo"):
        cost = Model.load(f"{shared}/models/cifar10_resnet20/{name}.onnx").cost()
        assert (cost.macs, cost.weights) == (40_551_040, 268_336)
    # INDEX.md counts all initializers; the exporter's folded biases are among them
    assert (
        Model.load(f"{shared}/models/cifar10_resnet20/resnet20.onnx").cost().parameters == 269_034
    )


def macs(text: str, dims: dict[str, int] | None = None, **tensors: Any) -> int:
    cost = graph(text, **tensors).cost(dims)
    assert not cost.unknown
    return cost.macs


@pytest.mark.parametrize(
    ("nodes", "tensors", "wanted"),
    [
        ("y = Conv<pads=[1,1,1,1]>(x, w)", {"w": (6, 4, 3, 3)}, 8 * 8 * 6 * 4 * 9),
        ("y = Conv<group=2, strides=[2,2]>(x, w)", {"w": (6, 2, 2, 2)}, 4 * 4 * 6 * 2 * 4),
        ("y = Conv<group=4>(x, w)", {"w": (4, 1, 3, 3)}, 6 * 6 * 4 * 9),
        ("y = ConvTranspose<strides=[2,2]>(x, w)", {"w": (4, 3, 2, 2)}, 8 * 8 * 4 * 3 * 4),
        ("y = ConvTranspose<group=2>(x, w)", {"w": (4, 3, 2, 2)}, 8 * 8 * 4 * 3 * 4),
        ("f = Flatten(x) y = Gemm(f, w)", {"w": (256, 7)}, 256 * 7),
        ("f = Flatten(x) t = Transpose(f) y = Gemm<transA=1>(t, w)", {"w": (256, 7)}, 256 * 7),
        ("y = MatMul(x, w)", {"w": (8, 5)}, 4 * 8 * 8 * 5),
        ("y = MatMul(x, w)", {"w": (8,)}, 4 * 8 * 8),
        ("y = MatMul(x, x)", {}, 4 * 8 * 8 * 8),
        ('y = Einsum<equation="nchw,wk->nchk">(x, w)', {"w": (8, 5)}, 4 * 8 * 8 * 5),
        ('y = Einsum<equation="...w,wk->...k">(x, w)', {"w": (8, 5)}, 4 * 8 * 8 * 5),
        ('y = Einsum<equation="...ab, ...bc -> ...ac">(x, x)', {}, 4 * 8 * 8 * 8),
        ('y = Einsum<equation="nchw->nwhc">(x)', {}, 0),
        ("y = Relu(x)", {}, 0),
        ("y = MaxPool<kernel_shape=[2,2]>(x)", {}, 0),
        ("y = Mul(x, x)", {}, 0),
        ("y = LayerNormalization(x, w)", {"w": (8,)}, 0),
    ],
)
def test_operators(nodes: str, tensors: dict[str, tuple[int, ...]], wanted: int) -> None:
    text = f"g (float[N,4,8,8] x) => (float[A,B,C,D] y) {{ {nodes} }}"
    if "Gemm" in nodes:
        text = text.replace("A,B,C,D", "A,B")
    if tensors.get("w") == (8,) and "MatMul" in nodes:
        text = text.replace("A,B,C,D", "A,B,C")
    cost = graph(text, **{name: normal(*shape) for name, shape in tensors.items()}).cost()
    assert (cost.macs, dict(cost.unknown)) == (wanted, {})


@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_cells_count_for_every_step(op: str, gates: int, directions: int) -> None:
    direction = "bidirectional" if directions == 2 else "forward"
    count = macs(
        f"""g (float[T,N,3] x) => (float[T,D,N,H] y) {{
            y = {op}<hidden_size=5, direction="{direction}">(x, w, r)
        }}""",
        {"T": 7, "N": 2},
        w=normal(directions, gates * 5, 3),
        r=normal(directions, gates * 5, 5),
    )
    assert count == 7 * 2 * directions * gates * 5 * (3 + 5)


@pytest.mark.parametrize("past", [0, 3])
@pytest.mark.parametrize("packed", [False, True])
def test_attention(past: int, packed: bool) -> None:  # noqa: FBT001
    """2 samples, 6 query heads and 2 key heads of 4 (values of 7), 5 queries, 8 keys."""
    q, k, v = ("2,5,24", "2,8,8", "2,8,14") if packed else ("2,6,5,4", "2,2,8,4", "2,2,8,7")
    y = "2,5,42" if packed else "2,6,5,7"
    heads = "<q_num_heads=6, kv_num_heads=2>" if packed else ""
    before = f", float[2,2,{past},4] pk, float[2,2,{past},7] pv" if past else ""
    count = macs(
        f"""<ir_version: 10, opset_import: ["": 23]>
        g (float[{q}] q, float[{k}] k, float[{v}] v{before}) => (float[{y}] y) {{
            y{", n, m" if past else ""} = Attention{heads}(q, k, v{", , pk, pv" if past else ""})
        }}"""
    )
    assert count == 2 * 6 * 5 * (8 + past) * (4 + 7)


def test_integer_operators() -> None:
    model = graph(
        """g (uint8[N,2,4,4] x, uint8[N,4] z)
            => (uint8[N,C,H,W] a, int32[N,C,H,W] b, int32[N,K] c, uint8[N,K] d) {
            a = QLinearConv(x, s, u, w, s, i, s, u)
            b = ConvInteger(x, w, u)
            c = MatMulInteger(z, m, u)
            d = QLinearMatMul(z, s, u, m, s, i, s, u)
        }""",
        w=np.ones((3, 2, 1, 1), np.int8),
        m=np.ones((4, 5), np.int8),
        s=np.float32(1),
        u=np.uint8(0),
        i=np.int8(0),
    )
    assert model.cost().macs == 2 * 4 * 4 * 3 * 2 + 2 * 4 * 5
    assert model.cost().weights == 6 + 20
    assert model.cost().parameters == 6 + 20  # scales and zero points are none


def test_quantizing_changes_neither_parameters_nor_macs() -> None:
    text = "g (float[N,4] x) => (float[N,3] y) {{ {} y = MatMul(x, u) }}"
    plain = graph(text.format("u = Identity(w)"), w=normal(4, 3)).cost()
    quantized = graph(
        text.format("u = DequantizeLinear<axis=1>(w, s, z)"),
        w=np.ones((4, 3), np.int8),
        s=normal(3),
        z=np.zeros(3, np.int8),
    ).cost()
    assert (plain.parameters, plain.weights, plain.macs) == (12, 12, 12)
    assert (quantized.parameters, quantized.weights, quantized.macs) == (12, 12, 12)


def test_other_float_tensors_are_parameters_but_no_weights() -> None:
    cost = graph(
        """g (float[N,3,4,4] x) => (float[N,3,8,8] y) {
            a = PRelu(x, slope)
            b = Add(a, position)
            half = Constant<value_float = 0.5>()
            c = Mul(b, half)
            roi = Constant<value_floats = [1.0]>()
            y = Resize(c, , scales)
        }""",
        slope=normal(3, 1, 1),
        position=normal(1, 3, 4, 4),
        scales=np.array([1, 1, 2, 2], np.float32),
    ).cost()
    assert cost.parameters == 3 + 48
    assert cost.weights == 0


def test_shared_tensors_count_once_and_used_layers_twice() -> None:
    cost = graph(
        "g (float[N,4] x) => (float[N,4] y) { a = MatMul(x, w) y = MatMul(a, w) }", w=normal(4, 4)
    ).cost()
    assert (cost.parameters, cost.weights, cost.macs) == (16, 16, 32)
    assert cost.bytes_in_memory == 64


def test_sizes_of_symbols() -> None:
    model = graph("g (float[N,T,4] x) => (float[N,T,3] y) { y = MatMul(x, w) }", w=normal(4, 3))
    assert model.cost().assumed == ("N", "T")
    assert model.cost({"T": 10}).macs == 10 * 4 * 3
    assert model.cost({"T": 10}).assumed == ("N",)
    with pytest.raises(UnknownNameError, match="input dimension"):
        model.cost({"time": 10})


CONTROL = """g (float[2,4] x, bool c, int64 n) => (float[2,4] y) {{
    yes = Constant<value = bool {{1}}>()
    three = Constant<value_int = 3>()
    {}
}}"""


def test_the_dearer_branch_counts() -> None:
    cost = graph(
        CONTROL.format(
            """y = If(c) <
                then_branch = t () => (float[2,4] p) { h = MatMul(x, w) p = MatMul(h, w) },
                else_branch = e () => (float[2,4] q) { q = MatMul(x, w) }
            >"""
        ),
        w=normal(4, 4),
    ).cost()
    assert cost.macs == 2 * 2 * 16
    assert sum(cost.layers.values()) == 3 * 2 * 16


BODY = """<body = b (int64 i, bool more, float[2,4] h) => (bool again, float[2,4] o) {
    again = Identity(more)
    o = MatMul(h, w)
}>"""


def test_loops() -> None:
    known = graph(CONTROL.format(f"y = Loop(three, yes, x) {BODY}"), w=normal(4, 4)).cost()
    assert (known.macs, dict(known.unknown)) == (3 * 2 * 16, {})
    free = graph(CONTROL.format(f"y = Loop(n, yes, x) {BODY}"), w=normal(4, 4)).cost()
    assert free.macs == 2 * 16
    assert free.unknown == {"y": "how often it runs is not known; its body is counted once"}


def test_scan() -> None:
    count = macs(
        """g (float[5,4] x, float[4] h0) => (float[4] h, float[5,4] y) {
            h, y = Scan<
                num_scan_inputs = 1,
                body = b (float[4] s, float[4] e) => (float[4] o, float[4] z) {
                    m = MatMul(s, w)
                    o = Add(m, e)
                    z = Identity(o)
                }
            >(h0, x)
        }""",
        w=normal(4, 4),
    )
    assert count == 5 * 16


FUNCTION = """
<ir_version: 10, opset_import: ["": 21, "acme": 1]>
g (float[N,4] x) => (float[N,4] y) {
    ["first"] a = acme.Linear(x, w)
    ["second"] y = acme.Linear(a, v)
}
<opset_import: ["": 21], domain: "acme">
Linear (x, w) => (y) { ["fc"] y = MatMul(x, w) }
"""


def test_functions_count_for_every_call() -> None:
    cost = graph(FUNCTION, w=normal(4, 4), v=normal(4, 4)).cost({"N": 3})
    assert cost.layers == {"first/fc": 48, "second/fc": 48}
    assert (cost.macs, cost.parameters, dict(cost.unknown)) == (96, 32, {})


def test_unknown_operators_are_named_and_plugins_have_a_say() -> None:
    model = graph(
        'g (float[N,4] x) => (float[N,3] y) { ["n"] y = acme.Product(x, w) }', w=normal(4, 3)
    )
    cost = model.cost()
    assert cost.macs == 0
    assert cost.unknown == {"n": "the table 'cost' has no rule for acme::Product"}

    def product(node: Any, shape: ShapeOf) -> int:
        return math.prod(shape(node.inputs[1]))

    ruled = model.cost(rules=(Rule("cost", "Product", product, domain="acme"),))
    assert (ruled.macs, dict(ruled.unknown), ruled.layers) == (12, {}, {"n": 12})
    assert COST.find("Product", "acme") is None  # the table of everybody else is as it was


def test_a_shape_that_nobody_knows_is_named() -> None:
    model = graph(
        'g (float[N,4] x) => (float[N,3] y) { a = acme.Op(x) ["n"] y = MatMul(a, w) }',
        w=normal(4, 3),
    )
    assert model.cost().unknown["n"] == "the shape of 'y' is not known"


def test_a_model_without_anything() -> None:
    cost = graph("g (float[N,4] x) => (float[N,4] y) { y = Identity(x) }").cost()
    assert (cost.parameters, cost.weights, cost.macs, cost.bytes_in_memory) == (0, 0, 0, 0)
