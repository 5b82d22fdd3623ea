"""Which objectives a fit has: those asked for, or what fits the labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxpress.data import open_data
from onnxpress.data.batch import Array
from onnxpress.errors import DataError, UnknownNameError, UsageError
from onnxpress.graph.model import Model
from onnxpress.training.goals import open_objectives
from tests.core.training.fitting import PLAIN, PLUGINS, changed, fitted, weights
from tests.graphs import graph, normal, proto

X = normal(8, 4)
CLASSES = np.arange(8) % 3
VALUES = normal(8, 3, seed=1)
YES_NO = (VALUES > 0).astype(np.float32)
ONE_HOT = np.eye(3, dtype=np.float32)[CLASSES]


def ending(op: str | None = None) -> Model:
    """Return a dense layer, with an operator behind it."""
    end = f"y = {op}(h)" if op else "y = Identity(h)"
    return graph(f"g (float[N,4] x) => (float[N,3] y) {{ h = MatMul(x, w) {end} }}", w=normal(4, 3))


def names(written: Any, model: Model, labels: Array | None) -> list[str]:
    source = {"x": X} if labels is None else {"x": X, "labels": labels}
    found = open_objectives(written, model, open_data(source, model), PLUGINS)
    return [objective.name for objective in found]


@pytest.mark.parametrize(
    ("labels", "end", "wanted"),
    [
        (CLASSES, None, "cross-entropy"),
        (CLASSES, "Softmax", "cross-entropy"),
        (CLASSES.astype(np.uint8), "LogSoftmax", "cross-entropy"),
        (ONE_HOT, "Softmax", "cross-entropy"),
        (ONE_HOT, None, "mean-squared-error"),
        (VALUES, None, "mean-squared-error"),
        (VALUES, "Relu", "mean-squared-error"),
        (YES_NO, "Sigmoid", "binary-cross-entropy"),
        (YES_NO > 0, "Sigmoid", "binary-cross-entropy"),
    ],
)
def test_by_default_what_fits_the_labels(labels: Array, end: str | None, wanted: str) -> None:
    assert names((), ending(end), labels) == [wanted]


def test_what_is_asked_for_is_all_there_is_but_penalties_are_added() -> None:
    assert names(["huber"], ending(), CLASSES) == ["huber"]
    assert names(["huber", "l2"], ending(), None) == ["huber", "l2"]
    assert names(["l2", "l1:weight=0.1"], ending(), VALUES) == ["mean-squared-error", "l2", "l1"]
    tables = [{"use": "cross-entropy", "label-smoothing": 0.1}]
    assert names(tables, ending(), CLASSES) == ["cross-entropy"]
    with pytest.raises(UnknownNameError, match="no objective called 'mse'"):
        names(["mse"], ending(), VALUES)


def test_several_are_summed_with_their_weights() -> None:
    history = fitted(
        ending(), {"x": X, "labels": VALUES}, **PLAIN,
        objective=["mean-squared-error:weight=2", "mean-absolute-error:weight=0.5", "l2:weight=0.1",
                   "mean-squared-error"],
    ).history[0]  # fmt: skip
    assert list(history) == [
        "epoch", "loss", "mean-squared-error", "mean-absolute-error", "l2", "mean-squared-error 2",
    ]  # fmt: skip
    off = X @ normal(4, 3) - VALUES
    assert history["mean-squared-error"] == pytest.approx((off**2).mean(), rel=1e-5)
    assert history["mean-absolute-error"] == pytest.approx(np.abs(off).mean(), rel=1e-5)
    assert history["mean-squared-error 2"] == history["mean-squared-error"]
    total = 3 * (off**2).mean() + 0.5 * np.abs(off).mean() + 0.1 * history["l2"]
    assert history["loss"] == pytest.approx(total, rel=1e-5)


def test_data_without_labels_needs_an_objective_that_needs_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="training needs labels, and arrays has none: name the"):
        names((), ending(), None)
    with pytest.raises(UsageError, match="mean-squared-error needs labels, and the training data"):
        fitted(ending(), {"x": X}, objective="mean-squared-error")
    text = "loss (float[N,3] y) => (float l) { s = Mul(y, y) l = ReduceMean<keepdims=0>(s) }"
    onnx.save(proto(text), tmp_path / "loss.onnx")
    model = ending()
    result = fitted(model, {"x": X}, objective=f"onnx:file={tmp_path / 'loss.onnx'}", epochs=5)
    assert changed(model, result.model) == {"w"}
    assert result.history[4]["onnx"] < result.history[0]["onnx"]


def test_a_loss_of_ones_own_reads_labels(tmp_path: Path) -> None:
    text = """loss (float[N,3] y, float[N,3] labels) => (float l) {
        d = Sub(y, labels) s = Mul(d, d) l = ReduceMean<keepdims=0>(s)
    }"""
    onnx.save(proto(text), tmp_path / "loss.onnx")
    source, options = {"x": X, "labels": VALUES}, {**PLAIN, "epochs": 3, "lr": 0.1}
    own = fitted(ending(), source, **options, objective=f"onnx:file={tmp_path / 'loss.onnx'}")
    usual = fitted(ending(), source, **options)
    np.testing.assert_allclose(weights(own.model)["w"], weights(usual.model)["w"], rtol=1e-5)


def two_outputs() -> Model:
    text = "g (float[N,4] x) => (float[N,3] y, float[N,3] z) { y = MatMul(x, w) z = MatMul(x, v) }"
    return graph(text, w=normal(4, 3), v=normal(4, 3, seed=2))


def test_of_several_outputs_one_is_named() -> None:
    source = {"x": X, "labels": VALUES}
    with pytest.raises(UsageError, match=r"has 2 outputs \(y, z\); name an objective, such as"):
        fitted(two_outputs(), source)
    with pytest.raises(UsageError, match=r"has 2 outputs \(y, z\); say which one .* output=…"):
        fitted(two_outputs(), source, objective="huber")
    with pytest.raises(UnknownNameError, match="no tensor called 'zz'; did you mean 'z'"):
        fitted(two_outputs(), source, objective="huber:output=zz")
    result = fitted(two_outputs(), source, objective=["huber:output=z", "l1:layers=y"])
    assert changed(two_outputs(), result.model) == {"w", "v"}


@pytest.mark.parametrize(
    ("labels", "objective", "said"),
    [
        (CLASSES + 1, (), r"0 to 2"),
        (CLASSES - 1, (), r"0 to 2"),
        (normal(8, 2), (), r"have shape \(8, 2\)"),
        (normal(8, 3, seed=5) * 9, "binary-cross-entropy", "is no probability; give 0 or 1"),
    ],
)
def test_labels_that_do_not_fit(labels: Array, objective: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        fitted(ending(), {"x": X, "labels": labels}, objective=objective)
