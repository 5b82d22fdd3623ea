"""Which nodes are layers, and what the axes of their weights mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxpress.graph.layers import LAYERS, Layer
from onnxpress.graph.model import Model
from tests.graphs import graph, normal, resnet20


def only(text: str, **tensors: Any) -> Layer:
    (layer,) = graph(text, **tensors).layers
    return layer


def axes(layer: Layer) -> list[tuple[str, int | None, int | None]]:
    return [(w.role, w.output_axis, w.input_axis) for w in layer.weights]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_conv(rank: int) -> None:
    dims = ",".join(["8"] * rank)
    layer = only(
        f"g (float[N,4,{dims}] x) => (float y) {{ y = Conv<group=2>(x, w, b) }}",
        w=normal(6, 2, *[3] * rank),
        b=normal(6),
    )
    assert axes(layer) == [("weight", 0, 1), ("bias", 0, None)]
    assert (layer.groups, layer.op_type, layer.name) == (2, "Conv", "y")
    assert layer.bias is not None
    assert layer.parameters == 6 * 2 * 3**rank + 6


def test_conv_transpose() -> None:
    layer = only(
        "g (float[N,4,8,8] x) => (float y) { y = ConvTranspose<group=2>(x, w, b) }",
        w=normal(4, 3, 2, 2),
        b=normal(6),
    )
    assert axes(layer) == [("weight", 1, 0), ("bias", 0, None)]
    assert layer.groups == 2


@pytest.mark.parametrize(
    ("call", "tensors", "wanted"),
    [
        ("Gemm(x, w, b)", {"w": (4, 3), "b": (3,)}, [("weight", 1, 0), ("bias", 0, None)]),
        (
            "Gemm<transB=1>(x, w, b)",
            {"w": (3, 4), "b": (1, 3)},
            [("weight", 0, 1), ("bias", 1, None)],
        ),
        ("Gemm<transA=1>(x, w)", {"w": (4, 3)}, [("weight", 1, 0)]),
        ("Gemm(w, x)", {"w": (3, 4)}, [("weight", 0, 1)]),
        (
            "Gemm<transA=1>(w, x, b)",
            {"w": (4, 3), "b": (3, 1)},
            [("weight", 1, 0), ("bias", 0, None)],
        ),
        # Added to every row alike, it is no bias of channels that are rows.
        ("Gemm(w, x, b)", {"w": (3, 4), "b": (4,)}, [("weight", 0, 1), ("bias", None, None)]),
        ("MatMul(x, w)", {"w": (4, 3)}, [("weight", 1, 0)]),
        ("MatMul(w, x)", {"w": (3, 4)}, [("weight", 0, 1)]),
        ("MatMul(x, w)", {"w": (4,)}, [("weight", None, 0)]),
        ("MatMul(w, x)", {"w": (4,)}, [("weight", None, 0)]),
        ("MatMul(x, w)", {"w": (5, 4, 3)}, [("weight", 2, 1)]),
        ("MatMul(w, x)", {"w": (5, 3, 4)}, [("weight", 1, 2)]),
    ],
)
def test_products(
    call: str, tensors: dict[str, tuple[int, ...]], wanted: list[tuple[str, int, int]]
) -> None:
    layer = only(
        f"g (float[4,4] x) => (float y) {{ y = {call} }}",
        **{name: normal(*shape) for name, shape in tensors.items()},
    )
    assert axes(layer) == wanted


def test_a_product_of_two_activations_is_no_layer() -> None:
    assert (
        graph("g (float[4,4] x) => (float[4,4] y) { t = Transpose(x) y = MatMul(x, t) }").layers
        == ()
    )


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_recurrent(op: str) -> None:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    peephole = ", , , , p" if op == "LSTM" else ""
    tensors = {
        "w": normal(1, gates * 5, 3),
        "r": normal(1, gates * 5, 5),
        "b": normal(1, gates * 10),
    }
    layer = only(
        f"g (float[S,N,3] x) => (float y) {{ y = {op}<hidden_size=5>(x, w, r, b{peephole}) }}",
        **tensors,
        **({"p": normal(1, 15)} if peephole else {}),
    )
    wanted = [("weight", 1, 2), ("recurrence", 1, 2), ("bias", 1, None), ("peephole", 1, None)]
    assert axes(layer) == wanted[: 4 if peephole else 3]


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("BatchNormalization(x, s, b, m, v)", "sbmv"),
        ("InstanceNormalization(x, s, b)", "sb"),
        ("LayerNormalization<axis=1>(x, s, b)", "sb"),
        ("LayerNormalization<axis=1>(x, s)", "s"),
        ("GroupNormalization<num_groups=2>(x, s, b)", "sb"),
    ],
)
def test_normalisations(call: str, names: str) -> None:
    layer = only(
        f"g (float[N,4,4] x) => (float y) {{ y = {call} }}",
        **{name: np.ones(4, np.float32) for name in names},
    )
    assert layer.normalizes
    assert layer.weight.role == "scale"
    assert [w.output_axis for w in layer.weights] == [0] * len(names)


def test_normalisation_without_weights_is_no_layer() -> None:
    assert graph("g (float[N,4] x) => (float[N,4] y) { y = LpNormalization(x) }").layers == ()


def test_embedding() -> None:
    text = "g (int64[N] i) => (float y) {{ {} y = Gather{}({}, i) }}"
    layer = only(text.format("", "", "w"), w=normal(9, 4))
    assert axes(layer) == [("weight", 1, None)]
    quantized = {"w": np.ones((9, 4), np.int8), "s": np.float32(1)}
    layer = only(text.format("t = DequantizeLinear(w, s)", "", "t"), **quantized)
    assert layer.precision == "int8"
    for nodes, attributes, table, tensors in (
        ("", "<axis=1>", "w", {"w": normal(9, 4)}),  # takes columns
        ("", "", "w", {"w": normal(9)}),  # a list of settings
        ("", "", "w", {"w": np.arange(8).reshape(4, 2)}),  # shape arithmetic
    ):
        assert graph(text.format(nodes, attributes, table), **tensors).layers == ()


def test_a_constant_part_of_a_table_is_no_embedding() -> None:
    text = "g (float[N,4] x) => (float y) { r = Gather(w, i) y = Add(x, r) }"
    assert graph(text, w=normal(9, 4), i=np.array(2)).layers == ()


def test_weights_behind_other_nodes_and_from_constant_nodes() -> None:
    layer = only(
        """g (float[N,1,4,4] x) => (float y) {
            k = Constant<value = float[3,3,1,2] {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18}>()
            t = Transpose<perm=[3,2,0,1]>(k)
            y = Conv(x, t)
        }"""
    )
    assert (layer.weight.name, layer.weight.shape) == ("k", (3, 3, 1, 2))
    assert axes(layer) == [("weight", 3, 2)]


def test_quantized_operators() -> None:
    model = graph(
        """g (uint8[N,2,4,4] x, uint8[N,4] z) => (uint8 y, int32 p, uint8 q, int32 c) {
            y = QLinearConv(x, s, u, w, s, i, s, u, b)
            c = ConvInteger(x, w, u)
            p = MatMulInteger(z, m, u)
            q = QLinearMatMul(z, s, u, m, s, i, s, u)
        }""",
        w=np.ones((3, 2, 1, 1), np.int8),
        m=np.ones((4, 5), np.int8),
        b=np.ones(3, np.int32),
        s=np.float32(1),
        u=np.uint8(0),
        i=np.int8(0),
    )
    found = {layer.op_type: (axes(layer), layer.precision) for layer in model.layers}
    assert found == {
        "QLinearConv": ([("weight", 0, 1), ("bias", 0, None)], "int8"),
        "ConvInteger": ([("weight", 0, 1)], "int8"),
        "MatMulInteger": ([("weight", 1, 0)], "int8"),
        "QLinearMatMul": ([("weight", 1, 0)], "int8"),
    }


def test_operators_of_onnx_runtime() -> None:
    names = {rule.op for rule in LAYERS if rule.domain == "com.microsoft"}
    assert names >= {"FusedConv", "FusedGemm", "QGemm"}
    layer = only(
        "g (float[N,4] x) => (float y) { y = com.microsoft.FusedGemm<transB=1>(x, w, b) }",
        w=normal(3, 4),
        b=normal(3),
    )
    assert axes(layer) == [("weight", 0, 1), ("bias", 0, None)]


@pytest.mark.parametrize(
    ("nodes", "added"),
    [
        ("m = MatMul(x, w) y = Add(m, b)", "b"),
        ("m = MatMul(x, w) y = Add(b, m)", "b"),
        ("m = MatMul(x, w) y = Add(m, wide)", "wide"),
        ("m = MatMul(x, w) y = Add(m, column)", None),  # one number for each sample
        ("m = MatMul(x, w) y = Add(m, one)", None),  # one number for all channels
        ("m = MatMul(x, w) y = Mul(m, b)", None),
        ("m = MatMul(x, w) n = Add(m, b) y = Mul(m, n)", None),  # m is read twice
        ("m = Gemm(x, w, b) y = Add(m, b)", None),  # it has a bias already
    ],
)
def test_bias_in_an_add(nodes: str, added: str | None) -> None:
    layer = only(
        f"g (float[3,4] x) => (float[3,3] y) {{ {nodes} }}",
        w=normal(4, 3),
        b=normal(3),
        wide=normal(1, 1, 3)[0],
        column=normal(3, 1),
        one=normal(1),
    )
    assert (layer.added.name if layer.added else None) == added
    assert layer.parameters == layer.weight.size + (3 if added or layer.bias else 0)
    if layer.added is not None:
        assert (layer.added.role, layer.tensors) == ("bias", (*layer.weights, layer.added))
        assert layer.bias is None


@pytest.mark.parametrize(
    ("shape", "added"), [((3, 1, 1), True), ((1, 3, 1, 1), True), ((3,), False)]
)
def test_bias_added_to_a_conv(shape: tuple[int, ...], added: bool) -> None:  # noqa: FBT001
    layer = only(
        "g (float[N,2,3,3] x) => (float y) { c = Conv(x, w) y = Add(c, b) }",
        w=normal(3, 2, 1, 1),
        b=normal(*shape),
    )
    assert (layer.added is not None) == added
    if layer.added is not None:
        assert layer.added.output_axis == len(shape) - 3


def test_a_result_of_the_model_is_not_yet_biased() -> None:
    model = graph(
        "g (float[N,4] x) => (float[N,3] m, float[N,3] y) { m = MatMul(x, w) y = Add(m, b) }",
        w=normal(4, 3),
        b=normal(3),
    )
    assert model.layers[0].added is None


SUBGRAPHS = """g (float[N,4] x, bool c) => (float[N,4] y) {
    ["fc"] a = MatMul(x, w)
    y = If(c) <
        then_branch = t () => (float[N,4] p) { ["fc"] p = MatMul(a, w) },
        else_branch = e () => (float[N,4] q) {
            k = Constant<value = float[4,4] {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}>()
            q = MatMul(a, k)
        }
    >
}"""


def test_subgraphs_and_weights_of_outer_graphs() -> None:
    model = graph(SUBGRAPHS, w=normal(4, 4))
    assert sorted((layer.name, layer.weight.name) for layer in model.layers) == [
        ("fc", "w"),
        ("p", "w"),
        ("q", "k"),
    ]
    assert set(model.parameters) == {"w", "k"}


def test_names_are_unique() -> None:
    model = graph(
        """g (float[4,4] x) => (float[4,4] y) {
            ["n"] a = MatMul(x, w)
            ["n"] b = MatMul(a, w)
            ["b"] c = MatMul(b, w)
            ["c_2"] d = MatMul(c, w)
            ["c"] e = MatMul(d, w)
            ["c"] y = MatMul(e, w)
        }""",
        w=normal(4, 4),
    )
    names = [layer.name for layer in model.layers]
    assert names == ["n", "b", "c", "c_2", "e", "y"]
    assert [layer.name for layer in model.edit().layers] == names


FUNCTION = """
<ir_version: 10, opset_import: ["": 21, "acme": 1]>
g (float[N,4] x) => (float[N,4] y) {
    ["first"] a = acme.Linear(x, w, b)
    ["second"] y = acme.Twice(a, v, b)
}
<opset_import: ["": 21], domain: "acme">
Linear (x, w, b) => (y) {
    t = Transpose(w)
    ["fc"] m = MatMul(x, t)
    y = Add(m, b)
}
<opset_import: ["": 21, "acme": 1], domain: "acme">
Twice (x, w, b) => (y) {
    k = Constant<value = float[4,4] {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}>()
    ["inner"] m = acme.Linear(x, w, b)
    ["own"] y = MatMul(m, k)
}
"""


def test_functions() -> None:
    model = graph(FUNCTION, w=normal(4, 4), v=normal(4, 4), b=normal(4))
    found = {layer.name: layer for layer in model.layers}
    assert {name: layer.weight.name for name, layer in found.items()} == {
        "first/fc": "w",
        "second/inner/fc": "v",
        "second/own": "k",
    }
    assert axes(found["first/fc"]) == [("weight", 0, 1)]
    assert [call.op_type for call in found["second/inner/fc"].calls] == ["Twice", "Linear"]
    assert found["first/fc"].node is found["second/inner/fc"].node


def test_changing_the_weight_of_a_layer_in_a_function() -> None:
    model = graph(FUNCTION, w=normal(4, 4), v=normal(4, 4), b=normal(4))
    x = normal(2, 4, seed=5)
    before = model.run({"x": x})["y"]
    edit = model.edit()
    (layer,) = (layer for layer in edit.layers if layer.name == "second/own")
    edit.set_weight(layer.weight, 2 * layer.weight.array())
    assert np.allclose(edit.done().run({"x": x})["y"], 2 * before, rtol=1e-5)
    assert np.array_equal(model.run({"x": x})["y"], before)


def test_shared_weights_are_seen_by_name() -> None:
    model = graph(
        "g (float[4,4] x) => (float[4,4] y) { a = MatMul(x, w) t = Transpose(w) y = MatMul(a, t) }",
        w=normal(4, 4),
    )
    first, second = model.layers
    assert first.weight.name == second.weight.name == "w"
    assert (first.weight.output_axis, second.weight.output_axis) == (1, 0)


def test_resnet20() -> None:
    model = Model.from_proto(resnet20())
    kinds = [layer.op_type for layer in model.layers]
    assert kinds.count("Conv") == 21
    assert kinds.count("BatchNormalization") == 21
    assert kinds[-1] == "Gemm"


def test_finding_layers_takes_time_in_proportion_to_nodes() -> None:
    """Count what is looked at, not seconds: the walk back behind every input is short."""
    from onnxpress.graph import constants

    calls = {}
    for count in (200, 400):
        model = Model.from_proto(chain(count))
        seen = 0
        original = constants.constant_tensor

        def counted(value: Any, original: Any = original) -> Any:
            nonlocal seen
            seen += 1
            return original(value)

        constants.constant_tensor = counted
        try:
            assert len(model.layers) == count
        finally:
            constants.constant_tensor = original
        calls[count] = seen
    assert calls[400] <= 2.1 * calls[200]


def chain(count: int) -> onnx.ModelProto:
    nodes, tensors = [], []
    for i in range(count):
        tensors.append(numpy_helper.from_array(normal(4, 4, seed=i), f"w{i}"))
        nodes.append(helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"], name=f"n{i}"))
    infos = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 4])
        for name in ("x0", f"x{count}")
    ]
    made = helper.make_graph(nodes, "g", infos[:1], infos[1:], tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
