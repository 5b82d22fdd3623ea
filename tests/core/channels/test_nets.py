"""The law on nets of several nodes, each with something that exporters write."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.channels import find_channels
from tests.core.channels.nets import check_law, found, image, net


def test_two_bidirectional_layers() -> None:
    """As PyTorch exports them, with initial states of the size of the batch."""
    model = net(
        """(float[T,N,5] x) => (float[T,N,3] y) {
            s = Shape<start=1, end=2>(x)
            t = Concat<axis=0>(two, s, four)
            zero = ConstantOfShape(t)
            a, h, c = LSTM<hidden_size=4, direction="bidirectional">(x, w1, r1, b1, , zero, zero)
            b = Transpose<perm=[0,2,1,3]>(a)
            d = Reshape(b, flat)
            e, h2, c2 = LSTM<hidden_size=6>(d, w2, r2, b2)
            f = Squeeze(e, one)
            y = MatMul(f, w3)
        }""",
        w1=(2, 16, 5), r1=(2, 16, 4), b1=(2, 32), w2=(1, 24, 8), r2=(1, 24, 6), b2=(1, 48),
        w3=(6, 3), two=np.array([2]), four=np.array([4]), flat=np.array([0, 0, -1]),
        one=np.array([1]),
    )  # fmt: skip
    assert sorted(found(model).values()) == [4, 6]
    for steps, samples in ((1, 2), (3, 1)):
        check_law(model, {"x": image(steps, samples, 5)}, tolerance=1e-4)


def test_convolutions_that_are_flattened() -> None:
    model = net(
        """(float[N,3,6,6] x) => (float[N,4] y) {
            a = Conv(x, w1, b1)
            p = PRelu(a, slope)
            m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(p)
            f = Flatten(m)
            g = Gemm<transB=1>(f, w2, b2)
            y = Gemm(g, w3)
        }""",
        w1=(5, 3, 3, 3), b1=(5,), slope=(5, 1, 1), w2=(7, 20), b2=(7,), w3=(7, 4),
    )  # fmt: skip
    assert found(model) == {"b1.0 slope.0 w1.0 w2.1": 5, "b2.0 w2.0 w3.0": 7}
    check_law(model, {"x": image(2, 3, 6, 6)}, tolerance=1e-4)


@pytest.mark.parametrize("halves", ["Split", "Slice"])
def test_gated_halves_are_cut_together(halves: str) -> None:
    """A gated linear unit: one half of the channels gates the other."""
    split = {
        "Split": "p, q = Split<axis=-1, num_outputs=2>(a)",
        "Slice": "p = Slice(a, zero, five, last)  q = Slice(a, five, end, last)",
    }
    model = net(
        f"""(float[N,T,6] x) => (float[N,T,3] y) {{
            a = MatMul(x, w1)
            {split[halves]}
            g = Sigmoid(q)
            b = Mul(p, g)
            y = MatMul(b, w2)
        }}""",
        w1=(6, 10), w2=(5, 3), zero=np.array([0]), five=np.array([5]), end=np.array([2**40]),
        last=np.array([-1]),
    )  # fmt: skip
    assert found(model) == {"w1.1 w2.0": 5}
    (group,) = find_channels(model).groups
    assert group.members[0].channel.tolist() == [*range(5), *range(5)]
    check_law(model, {"x": image(2, 3, 6)}, tolerance=1e-4)


def test_rotated_halves_of_heads_are_cut_in_pairs() -> None:
    """Rotary positions: the second half of every head, negated, comes before the first."""
    model = net(
        """(float[N,T,6] x) => (float[N,T,3] y) {
            q = MatMul(x, w1)
            a = Reshape(q, into)
            u = Slice(a, zero, two, last)
            v = Slice(a, two, four, last)
            n = Neg(v)
            r = Concat<axis=-1>(n, u)
            c = Mul(a, cos)
            s = Mul(r, sin)
            e = Add(c, s)
            f = Reshape(e, back)
            y = MatMul(f, w2)
        }""",
        w1=(6, 12), w2=(12, 3), cos=(1, 1, 1, 4), sin=(1, 1, 1, 4), into=np.array([0, 0, 3, 4]),
        back=np.array([0, 0, 12]), zero=np.array([0]), two=np.array([2]), four=np.array([4]),
        last=np.array([-1]),
    )  # fmt: skip
    assert found(model) == {"cos.3 sin.3 w1.1 w2.0": 2}
    assert found(model, split="heads") == {"w1.1 w2.0": 3}
    for split in ("channels", "heads"):
        check_law(model, {"x": image(2, 3, 6)}, split=split, tolerance=1e-4)


@pytest.mark.parametrize("norm", ["one node", "written out"])
def test_a_trunk_with_layer_normalisation(norm: str) -> None:
    """What goes was zero: the normalisation behaves as if it still were there."""
    texts = {
        "one node": "n = LayerNormalization(a, scale, bias)",
        "written out": """
            m = ReduceMean(a, axis)
            d = Sub(a, m)
            s = Mul(d, d)
            v = ReduceMean(s, axis)
            ve = Add(v, tiny)
            r = Sqrt(ve)
            q = Div(d, r)
            qs = Mul(q, scale)
            n = Add(qs, bias)
        """,
    }
    model = net(
        f"""(int64[N,T] ids) => (float[N,T,4] y) {{
            a = Gather(table, ids)
            {texts[norm]}
            h = MatMul(n, w1)
            g = Gelu(h)
            f = MatMul(g, w2)
            b = Add(a, f)
            z = RMSNormalization(b, scale2)
            y = MatMul(z, w3)
        }}""",
        opset=23, table=(10, 6), scale=(6,), bias=(6,), w1=(6, 9), w2=(9, 6), scale2=(6,),
        w3=(6, 4), axis=np.array([-1]), tiny=np.array([1e-5], np.float32),
    )  # fmt: skip
    assert sorted(found(model).values()) == [6, 9]
    check_law(model, {"ids": np.array([[1, 2, 9], [0, 4, 5]])}, tolerance=1e-4)


def test_pixels_from_channels() -> None:
    model = net(
        """(float[N,3,H,W] x) => (float[N,2,P,Q] y) {
            a = Conv(x, w1)
            b = DepthToSpace<blocksize=2, mode="CRD">(a)
            c = Resize(b, , scales)
            y = Conv(c, w2)
        }""",
        w1=(12, 3, 1, 1), w2=(2, 3, 1, 1), scales=np.array([1, 1, 2, 2], np.float32),
    )  # fmt: skip
    assert found(model) == {"w1.0 w2.1": 3}
    (group,) = find_channels(model).groups
    assert group.multiple == 4
    for size in (2, 5):
        check_law(model, {"x": image(1, 3, size, size)})


def test_a_token_that_is_expanded_to_the_batch() -> None:
    model = net(
        """(float[N,T,6] x) => (float[N,S,3] y) {
            a = MatMul(x, w1)
            s = Shape<start=0, end=1>(x)
            t = Concat<axis=0>(s, rest)
            k = Expand(token, t)
            b = Concat<axis=1>(k, a)
            y = MatMul(b, w2)
        }""",
        w1=(6, 5), w2=(5, 3), token=(1, 1, 5), rest=np.array([1, 5]),
    )  # fmt: skip
    assert found(model) == {"token.2 w1.1 w2.0": 5}
    for size in (1, 3):
        check_law(model, {"x": image(size, 4, 6)})
