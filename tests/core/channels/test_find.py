"""Finding groups: what is cut together in graphs of several nodes, and what is not at all."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.channels import Site, find_channels
from onnxpress.errors import UnknownNameError
from onnxpress.graph.model import Model
from onnxpress.rules import Rule
from tests.core.channels.nets import check_law, found, image, net


def residual() -> Model:
    return net(
        """(float[N,3,8,8] x) => (float[N,5] y) {
            a = Conv<pads=[1,1,1,1]>(x, w1)
            b = Relu(a)
            c = Conv<pads=[1,1,1,1]>(b, w2)
            d = Conv<pads=[1,1,1,1]>(c, w3)
            e = Add(d, b)
            f = GlobalAveragePool(e)
            g = Flatten(f)
            y = Gemm<transB=1>(g, w4, b4)
        }""",
        w1=(8, 3, 3, 3), w2=(6, 8, 3, 3), w3=(8, 6, 3, 3), w4=(5, 8), b4=(5,),
    )  # fmt: skip


def test_a_residual_trunk_is_one_group() -> None:
    assert found(residual()) == {"w1.0 w2.1 w3.0 w4.1": 8, "w2.0 w3.1": 6}
    check_law(residual(), {"x": image(2, 3, 8, 8)}, tolerance=1e-4)


def test_groups_are_named_after_the_first_layer_that_gives_them() -> None:
    channels = find_channels(residual())
    layers = [layer.name for layer in residual().layers]
    assert [group.name for group in channels.groups] == layers[:2]
    assert channels.groups[0].producers == (layers[0], layers[2])
    assert channels.groups[0].layers == (*layers[:3], layers[3])
    assert channels.group(layers[1]).size == 6


def test_what_is_concatenated_keeps_its_own_groups() -> None:
    model = net(
        """(float[N,3,8,8] x) => (float[N,4,8,8] y) {
            a = Conv(x, w1)
            b = Conv(x, w2)
            c = Concat<axis=1>(a, b)
            y = Conv(c, w3)
        }""",
        w1=(5, 3, 1, 1), w2=(7, 3, 1, 1), w3=(4, 12, 1, 1),
    )  # fmt: skip
    assert found(model) == {"w1.0 w3.1": 5, "w2.0 w3.1": 7}
    check_law(model, {"x": image(2, 3, 8, 8)})


def test_a_shared_matrix_ties_and_an_equal_vector_does_not() -> None:
    model = net(
        """(float[N,6] x) => (float[N,3] y, float[N,3] z) {
            a = MatMul(x, w1)
            a1 = Add(a, bias)
            b = MatMul(x, w2)
            b1 = Add(b, bias)
            y = MatMul(a1, shared)
            z = MatMul(b1, shared)
        }""",
        w1=(6, 5), w2=(6, 5), bias=(5,), shared=(5, 3),
    )  # fmt: skip
    assert found(model) == {"bias.0 shared.0 w1.1 w2.1": 5}
    apart = net(
        """(float[N,6] x) => (float[N,3] y, float[N,3] z) {
            a = MatMul(x, w1)
            a1 = Add(a, bias)
            b = MatMul(x, w2)
            b1 = Add(b, bias)
            y = MatMul(a1, w3)
            z = MatMul(b1, w4)
        }""",
        w1=(6, 5), w2=(6, 5), bias=(5,), w3=(5, 3), w4=(5, 3),
    )  # fmt: skip
    assert found(apart) == {"bias.0 w1.1 w3.0": 5, "bias.0 w2.1 w4.0": 5}
    check_law(apart, {"x": image(2, 6)})


def unknown() -> Model:
    return net(
        """(float[N,6] x) => (float[N,3] y) <float[N,5] b> {
            a = MatMul(x, w1)
            b = com.acme.Rotary(a)
            c = Identity(b)
            d = MatMul(c, w2)
            y = MatMul(d, w3)
        }""",
        w1=(6, 5), w2=(5, 4), w3=(4, 3),
    )  # fmt: skip


def test_an_unknown_operator_ends_a_group_and_is_noted() -> None:
    channels = find_channels(unknown())
    assert found(unknown()).keys() == {"w2.1 w3.0"}
    assert any("has no rule for com.acme::Rotary" in note for note in channels.notes)
    assert any("has no channel-flow rule" in kept.reason for kept in channels.kept)


def test_a_plugin_can_add_a_rule() -> None:
    def rotary(at: Site) -> None:
        at.elementwise([at.input(0)], at.output())

    model = unknown()
    rule = Rule("channel-flow", "Rotary", rotary, "com.acme")
    assert not find_channels(model, rules=[rule]).notes
    assert found(model, rules=[rule]) == {"w1.1 w2.0": 5, "w2.1 w3.0": 4}


def test_outputs_are_cut_only_if_asked() -> None:
    model = net("(float[N,6] x) => (float[N,M] y) { y = MatMul(x, w) }", w=(6, 5))
    assert found(model) == {}
    (kept,) = find_channels(model).kept
    assert kept.size == 5
    assert kept.reason == "it is the output 'y' of the model"
    assert found(model, cut_outputs=["y"]) == {"w.1": 5}
    check_law(model, {"x": image(2, 6)}, cut_outputs=["y"])
    with pytest.raises(UnknownNameError, match="z"):
        find_channels(model, cut_outputs=["z"])


def test_what_bodies_read_is_kept() -> None:
    model = net(
        """(float[N,6] x, bool cond) => (float[N,3] y) {
            a = MatMul(x, w1)
            b = MatMul(a, w2)
            c = If (cond) <
                then_branch = t () => (float[N,5] p) { p = Relu(b) },
                else_branch = e () => (float[N,5] q) { q = Identity(b) }
            >
            y = MatMul(c, w3)
        }""",
        w1=(6, 4), w2=(4, 5), w3=(5, 3),
    )  # fmt: skip
    channels = find_channels(model)
    assert found(model) == {"w1.1 w2.0": 4}
    assert any("the body of If" in kept.reason for kept in channels.kept)
    for cond in (True, False):
        check_law(model, {"x": image(2, 6), "cond": np.array(cond)})


def shuffle() -> Model:
    return net(
        """(float[N,4,5,5] x) => (float[N,3,5,5] y) {
            a = Conv<group=2>(x, w1)
            b = Reshape(a, into)
            c = Transpose<perm=[0,2,1,3,4]>(b)
            d = Reshape(c, back)
            e = Conv<group=2>(d, w2)
            y = Conv(e, w3)
        }""",
        w1=(12, 2, 1, 1), w2=(8, 6, 1, 1), w3=(3, 8, 1, 1),
        into=np.array([0, 2, 6, 5, 5]), back=np.array([0, 12, 5, 5]),
    )  # fmt: skip


def test_a_channel_shuffle_is_found() -> None:
    groups = found(shuffle())
    assert any("w1.0" in name for name in groups)
    assert any("w2.0" in name for name in groups)
    check_law(shuffle(), {"x": image(2, 4, 5, 5)})


def attention() -> Model:
    """Return three heads of four dimensions."""
    return net(
        """(float[N,T,6] x) => (float[N,T,6] y) {
            q = MatMul(x, wq)
            k = MatMul(x, wk)
            v = MatMul(x, wv)
            q1 = Reshape(q, qs)
            k1 = Reshape(k, ks)
            v1 = Reshape(v, ks)
            q2 = Transpose<perm=[0,2,1,3]>(q1)
            k2 = Transpose<perm=[0,2,3,1]>(k1)
            v2 = Transpose<perm=[0,2,1,3]>(v1)
            s = MatMul(q2, k2)
            p = Softmax(s)
            o = MatMul(p, v2)
            o1 = Transpose<perm=[0,2,1,3]>(o)
            o2 = Reshape(o1, os)
            y = MatMul(o2, wo)
        }""",
        wq=(6, 12), wk=(6, 12), wv=(6, 12), wo=(12, 6),
        qs=np.array([0, 0, 3, 4]), ks=np.array([0, 0, 3, 4]), os=np.array([0, 0, 12]),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("split", "wanted"),
    [
        ("channels", {"wk.1 wq.1": 4, "wo.0 wv.1": 4}),
        ("heads", {"wk.1 wo.0 wq.1 wv.1": 3}),
    ],
)
def test_attention_loses_dimensions_or_heads(split: str, wanted: dict[str, int]) -> None:
    assert found(attention(), split=split) == wanted
    check_law(attention(), {"x": image(2, 5, 6)}, split=split, tolerance=1e-4)


def test_heads_are_marked() -> None:
    heads = find_channels(attention(), split="heads").groups
    assert [(group.heads, group.multiple) for group in heads] == [(True, 4)]
    assert not any(group.heads for group in find_channels(attention()).groups)


def fused() -> Model:
    return net(
        """(float[N,T,6] x) => (float[N,T,6] y) {
            a = MatMul(x, w)
            b = Add(a, bias)
            c = Reshape(b, into)
            d = Transpose<perm=[2,0,3,1,4]>(c)
            q = Gather<axis=0>(d, zero)
            k = Gather<axis=0>(d, one)
            v = Gather<axis=0>(d, two)
            kt = Transpose<perm=[0,1,3,2]>(k)
            s = MatMul(q, kt)
            p = Softmax(s)
            o = MatMul(p, v)
            o1 = Transpose<perm=[0,2,1,3]>(o)
            o2 = Reshape(o1, back)
            y = MatMul(o2, wo)
        }""",
        w=(6, 36), bias=(36,), wo=(12, 6), into=np.array([0, 0, 3, 3, 4]),
        back=np.array([0, 0, 12]), zero=np.array(0), one=np.array(1), two=np.array(2),
    )  # fmt: skip


@pytest.mark.parametrize("split", ["channels", "heads"])
def test_fused_projections_are_found(split: str) -> None:
    groups = found(fused(), split=split)
    assert groups == {"bias.0 w.1 wo.0": 3 if split == "heads" else 4}
    check_law(fused(), {"x": image(2, 5, 6)}, split=split, tolerance=1e-4)


def grouped_queries() -> Model:
    """Return four heads of queries, of which two each share a head of keys and values."""
    return net(
        """(float[N,T,6] x) => (float[N,T,6] y) {
            q = MatMul(x, wq)
            k = MatMul(x, wk)
            v = MatMul(x, wv)
            q1 = Reshape(q, qs)
            k1 = Reshape(k, ks)
            v1 = Reshape(v, ks)
            q2 = Transpose<perm=[0,2,3,1,4]>(q1)
            k2 = Transpose<perm=[0,2,3,4,1]>(k1)
            v2 = Transpose<perm=[0,2,3,1,4]>(v1)
            s = MatMul(q2, k2)
            p = Softmax(s)
            o = MatMul(p, v2)
            o1 = Transpose<perm=[0,3,1,2,4]>(o)
            o2 = Reshape(o1, os)
            y = MatMul(o2, wo)
        }""",
        wq=(6, 20), wk=(6, 10), wv=(6, 10), wo=(20, 6),
        qs=np.array([0, 0, 2, 2, 5]), ks=np.array([0, 0, 2, 1, 5]), os=np.array([0, 0, 20]),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("split", "wanted"),
    [
        ("channels", {"wk.1 wq.1": 5, "wo.0 wv.1": 5}),
        ("heads", {"wo.0 wq.1": 2}),  # the same query of every group, and no keys
    ],
)
def test_grouped_queries_are_found(split: str, wanted: dict[str, int]) -> None:
    assert found(grouped_queries(), split=split) == wanted
    check_law(grouped_queries(), {"x": image(2, 4, 6)}, split=split, tolerance=1e-4)


def test_gated_channels_go_with_their_gate() -> None:
    model = net(
        """(float[N,3,8,8] x) => (float[N,4,8,8] y) {
            a = Conv(x, w1)
            m = GlobalAveragePool(a)
            s = Conv(m, w2)
            r = Relu(s)
            e = Conv(r, w3)
            g = Sigmoid(e)
            b = Mul(a, g)
            y = Conv(b, w4)
        }""",
        w1=(8, 3, 1, 1), w2=(6, 8, 1, 1), w3=(8, 6, 1, 1), w4=(4, 8, 1, 1),
    )  # fmt: skip
    assert found(model) == {"w1.0 w2.1 w3.0 w4.1": 8, "w2.0 w3.1": 6}
    check_law(model, {"x": image(2, 3, 8, 8)})


def test_the_width_of_an_embedding_is_a_group() -> None:
    model = net(
        """(int64[N,T] ids) => (float[N,T,4] y) {
            e = Gather(table, ids)
            n = LayerNormalization(e, scale, bias)
            y = MatMul(n, w)
        }""",
        table=(10, 6), scale=(6,), bias=(6,), w=(6, 4),
    )  # fmt: skip
    assert found(model) == {"bias.0 scale.0 table.1 w.0": 6}
    check_law(model, {"ids": np.array([[1, 2, 9], [0, 4, 5]])})


def test_the_model_given_stays_as_it_is() -> None:
    import onnx_ir as ir

    model = residual()
    before = ir.to_proto(model.ir).SerializeToString()
    channels = find_channels(model)
    channels.cut({group.name: [0] for group in channels.groups})
    assert ir.to_proto(model.ir).SerializeToString() == before
