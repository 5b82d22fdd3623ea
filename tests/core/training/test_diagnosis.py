"""What went wrong when a number is not finite: update, batch, epoch, and the first tensor."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from onnxpress.errors import DataError, OnnxpressError
from onnxpress.training.diagnosis import first_not_finite, not_finite_among
from tests.core.training.fitting import PLAIN, fitted
from tests.core.training.nets import mlp, samples
from tests.graphs import graph, normal

OPTIONS: dict[str, Any] = {**PLAIN, "batch": 8}


def test_a_learning_rate_that_is_too_large() -> None:
    source = {"x": normal(40, 6), "labels": normal(40, 3, seed=1)}
    with pytest.raises(OnnxpressError) as caught:
        fitted(mlp(), source, **{**OPTIONS, "lr": 1e15, "epochs": 3})
    said = str(caught.value)
    assert re.match(
        r"training stopped: the loss is not finite at update 2 \(batch 2 of epoch 1", said
    )
    assert re.search(r"the first tensor that went wrong is '\S+', computed by a? ?[A-Z]\w+", said)
    assert said.endswith("try a smaller learning rate (lr), clip-norm=1, or look at that batch")


def test_weights_that_overflow_at_the_last_update() -> None:
    model = graph("g (float[N,4] x) => (float[N,4] y) { y = MatMul(x, w) }", w=normal(4, 4))
    source = {"x": normal(8, 4) * 1e4, "labels": normal(8, 4)}
    with pytest.raises(OnnxpressError, match=r"weights are not finite after update 1 .*'w': it is"):
        fitted(model, source, **{**OPTIONS, "lr": 1e38})


def test_data_that_is_not_finite_is_refused_as_such() -> None:
    source = samples()
    source["x"][21, 3] = np.nan
    with pytest.raises(DataError, match="NaN"):
        fitted(mlp(), source, **OPTIONS)


def test_a_logarithm_of_zero() -> None:
    text = "g (float[N,4] x) => (float[N,4] y) { r = Relu(x) l = Log(r) y = MatMul(l, w) }"
    x = np.abs(normal(40, 4)) + 1
    x[17, 2] = -1  # in batch 3 of 8
    source = {"x": x, "labels": normal(40, 4)}
    with pytest.raises(OnnxpressError) as caught:
        fitted(graph(text, w=normal(4, 4)), source, **OPTIONS)
    assert "the loss is not finite at update 3 (batch 3 of epoch 1)" in str(caught.value)
    assert "'l', computed by a Log: it is -inf at [1, 2] (1 of 32 elements)" in str(caught.value)


def test_a_gradient_that_is_not_finite_though_the_loss_is() -> None:
    # The slope of a root is infinite at 0, and 0 times that is NaN.
    text = "g (float[N,4] x) => (float[N,4] y) { h = MatMul(x, w) r = Relu(h) y = Sqrt(r) }"
    source = {"x": normal(8, 4), "labels": normal(8, 4)}
    with pytest.raises(OnnxpressError, match="the norm of the gradient is not finite at update 1"):
        fitted(graph(text, w=normal(4, 4)), source, **OPTIONS)


def masked(values: Any) -> Any:
    """Return a model with an infinite mask, which is harmless, and a logarithm, which is not."""
    return graph(
        """g (float[N,4] x) => (float[N,4] y) {
            m = Add(x, mask)
            s = Softmax(m)
            l = Log(s)
            z = Mul(l, wanted)
            y = Identity(z)
        }""",
        mask=np.array([0, 0, 0, -np.inf]),
        wanted=np.array(values, np.float32),
    )


def test_infinity_that_does_no_harm_is_passed_over() -> None:
    x = normal(2, 4)
    said = first_not_finite(masked([1, 1, 1, 0]), {"x": x}, "y")
    assert said.startswith("'l', computed by a Log: it is -inf at [0, 3] (2 of 8 elements)")
    assert first_not_finite(masked([1, 1, 1, 1]), {"x": x}, "y").startswith("'l'")
    assert first_not_finite(masked([1, 1, 1, 1]), {"x": x}, "s").startswith("no single tensor")


def test_arrays_are_described() -> None:
    assert not_finite_among({"a": normal(2), "b": np.arange(3)}) is None
    array = normal(2, 3)
    array[1, 2] = np.inf
    assert not_finite_among({"a": array}) == "'a': it is inf at [1, 2] (1 of 6 elements)"
    assert not_finite_among({"a": np.float32(np.nan) * normal()}) == "'a': it is nan"
    said = first_not_finite(masked([1, 1, 1, 1]), {"x": np.full((1, 4), np.nan, np.float32)}, "y")
    assert said == "'x': it is nan at [0, 0] (4 of 4 elements); the step was given that"
