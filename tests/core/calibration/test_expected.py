"""Expected activations: what normal values give on average."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, exp, pi, sqrt
from typing import Any

import numpy as np
import pytest

from onnxpress.calibration.expected import expected_activation
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.core.calibration.networks import two_norms
from tests.graphs import graph, normal

B, S = normal(5, seed=1), np.abs(normal(5, seed=2)) + 0.1


def after_norm(body: str, **tensors: object) -> Model:
    return graph(
        f"g (float[N,5,6,6] x) => (y) {{ n = BatchNormalization(x, s, b, m, v) {body} }}".replace(
            "(y)", "(float[N,C,P,Q] y)"
        ),
        **{"s": S, "b": B, "m": normal(5, seed=3), "v": np.ones(5, np.float32), **tensors},
    )


def mean(model: Model, tensor: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    found = expected_activation(model, tensor)
    assert found is not None
    return found


def test_relu_is_the_closed_form() -> None:
    """Nagel et al. 2019, equation (32) with a = 0, b = infinity."""
    wanted = [
        s * exp(-((b / s) ** 2) / 2) / sqrt(2 * pi) + b * (1 + erf(b / s / sqrt(2))) / 2
        for b, s in zip(B, S, strict=True)
    ]
    np.testing.assert_allclose(mean(after_norm("y = Relu(n)"), "y"), wanted, atol=2e-5)


FUNCTIONS: dict[str, Callable[[Any], Any] | None] = {
    "y = LeakyRelu<alpha=0.2>(n)": lambda z: np.where(z < 0, 0.2 * z, z),
    "k = Constant<value_float=0.0> () t = Constant<value_float=0.5> () y = Clip(n, k, t)": (
        lambda z: np.clip(z, 0, 0.5)
    ),
    "y = HardSwish(n)": lambda z: z * np.clip(z / 6 + 0.5, 0, 1),
    "y = Sigmoid(n)": lambda z: 1 / (1 + np.exp(-z)),
    "a = Sigmoid(n) y = Mul(n, a)": lambda z: z / (1 + np.exp(-z)),
    "y = PRelu(n, p)": lambda z: np.where(z < 0, z * np.arange(5), z),
    "a = Tanh(n) k = Constant<value_float=3.0> () y = Mul(a, k)": lambda z: 3 * np.tanh(z),
    "y = Identity(n)": lambda z: z,
    "y = MaxPool<kernel_shape=[1,1]>(n)": None,
}


@pytest.mark.parametrize("body", FUNCTIONS)
def test_elementwise_functions_agree_with_many_samples(body: str) -> None:
    model = after_norm(body, p=np.arange(5, dtype=np.float32).reshape(5, 1, 1))
    function = FUNCTIONS[body]
    if function is None:
        assert expected_activation(model, "y") is None
        return
    samples = np.random.default_rng(0).standard_normal((400_000, 1)) * S + B
    np.testing.assert_allclose(mean(model, "y"), function(samples).mean(0), atol=6e-3)


@pytest.mark.parametrize(
    "body",
    [
        "r = Relu(n) y = GlobalAveragePool(r)",
        "r = Relu(n) y = AveragePool<kernel_shape=[2,2]>(r)",
        "r = Relu(n) k = Constant<value_ints=[2,3]>() y = ReduceMean(r, k)",
    ],
)
def test_averages_over_positions_keep_the_mean(body: str) -> None:
    model = after_norm(body)
    np.testing.assert_array_equal(mean(model, "y"), mean(model, "r"))


def test_padding_that_counts_is_not_told() -> None:
    body = "y = AveragePool<kernel_shape=[2,2], pads=[1,1,0,0], count_include_pad=1>(n)"
    assert expected_activation(after_norm(body), "y") is None


def test_flattened_channels_come_once_for_each_position() -> None:
    model = after_norm("r = Relu(n) y = Flatten(r)").edit().done()
    np.testing.assert_array_equal(mean(model, "y"), np.repeat(mean(model, "r"), 36))


def test_sums_joins_and_turned_axes() -> None:
    body = "u = Relu(n) c = Concat<axis=1>(x, u) y = Transpose<perm=[0,2,3,1]>(c)"
    model = after_norm(body)
    np.testing.assert_allclose(mean(after_norm("y = Add(n, n)"), "y"), 2 * B, atol=1e-5)
    np.testing.assert_array_equal(mean(model, "y"), [*[np.nan] * 5, *mean(model, "u")])
    sums = graph(
        """g (float[N,5,6,6] x) => (float[N,5,6,6] y) {
            n = BatchNormalization(x, s, b, m, v)
            o = BatchNormalization(x, s, b, m, v)
            a = Add(n, o)
            y = Relu(a)
        }""",
        s=S,
        b=B,
        m=normal(5, seed=3),
        v=np.ones(5, np.float32),
    )
    samples = np.random.default_rng(0).standard_normal((400_000, 1)) * sqrt(2) * S + 2 * B
    np.testing.assert_allclose(mean(sums, "y"), np.maximum(samples, 0).mean(0), atol=8e-3)


def test_a_dead_channel_gives_its_constant() -> None:
    """METHODS B.3: without weights, what a normalisation makes of 0 is constant."""
    w = normal(6, 3, 3, 3, seed=1)
    w[2] = 0
    m, v = normal(6, seed=4), np.full(6, 0.5, np.float32)
    model = two_norms(w1=w, m1=m, v1=v)
    image = normal(1, 3, 5, 6)
    seen = Session(model, outputs=["c"]).run({"x": image})["c"][0, 2]
    np.testing.assert_allclose(seen, mean(model, "c")[2], rtol=1e-5)


def test_without_a_normalisation_nothing_is_known_but_of_dead_channels() -> None:
    w = normal(4, 3, seed=1)
    model = graph(
        "g (float[N,4] x) => (float[N,3] y) { a = Gemm(x, w, b) y = Relu(a) }", w=w, b=[1.0, 2, -3]
    )
    assert expected_activation(model, "y") is None
    assert expected_activation(model, "x") is None
    assert expected_activation(model, "nothing") is None
    w[:, 1] = 0
    model = graph(
        "g (float[N,4] x) => (float[N,3] y) { a = Gemm(x, w, b) y = Relu(a) }", w=w, b=[1.0, 2, -3]
    )
    np.testing.assert_allclose(mean(model, "y"), [np.nan, 2, np.nan], atol=1e-5)


def test_bodies_elsewhere_that_read_the_tensor_do_not_matter() -> None:
    model = graph(
        """g (float[N,5,6,6] x, bool c) => (float[N,5,6,6] y, float[N,5,6,6] z) {
            n = BatchNormalization(x, s, b, m, v)
            y = Relu(n)
            z = If(c) <
                then_branch = t () => (float[N,5,6,6] i) { i = Neg(y) },
                else_branch = e () => (float[N,5,6,6] o) { o = Add(n, x) }
            >
        }""",
        s=S,
        b=B,
        m=normal(5, seed=3),
        v=np.ones(5, np.float32),
    )
    np.testing.assert_array_equal(mean(model, "y"), mean(after_norm("y = Relu(n)"), "y"))
