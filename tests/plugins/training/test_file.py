"""``onnx``: a loss from a file becomes part of the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import parser
from torch.nn import functional as F  # noqa: N812

from onnxpress.errors import UnknownNameError, UsageError
from onnxpress_training.objectives import OnnxObjective
from tests.graphs import graph, normal, proto
from tests.plugins.training.building import LOSS, agree, scores, with_loss

MSE = """
loss (float[N,3] y, float[N,3] labels) => (float loss) {
    x = Sub(y, labels)
    half = Mul(x, two)
    s = Mul(x, half)
    loss = ReduceMean <keepdims = 0> (s)
}"""


def saved(folder: Path, text: str, **tensors: object) -> Path:
    path = folder / "loss.onnx"
    onnx.save(proto(text, **tensors), path)
    return path


def twice(labels: np.ndarray) -> object:
    target = torch.tensor(labels.astype(np.float64))
    return lambda x: 2 * F.mse_loss(x, target)


def test_inputs_are_matched_by_name_and_names_made_unique(tmp_path: Path) -> None:
    path = saved(tmp_path, MSE, two=np.array(2.0))
    labels = normal(4, 3, seed=1)
    model = graph(
        "g (float[N,3] x) => (float[N,3] y) { half = Mul(x, two) y = Mul(half, half2) }",
        two=np.array(2.0), half2=np.array(0.5),
    )  # fmt: skip
    agree(model, OnnxObjective(file=path), normal(4, 3), labels, twice(labels))


def test_inputs_of_other_names_are_given(tmp_path: Path) -> None:
    text = MSE.replace("[N,3] y", "[N,3] prediction").replace("y,", "prediction,")
    text = text.replace("(y", "(prediction").replace("labels", "target")
    path = saved(tmp_path, text, two=np.array(2.0))
    labels = normal(4, 3, seed=1)
    objective = OnnxObjective(file=path, inputs={"prediction": "y", "target": "labels"})
    agree(scores("N", 3), objective, normal(4, 3), labels, twice(labels))


def test_functions_are_inlined_and_old_opsets_upgraded(tmp_path: Path) -> None:
    text = """
    <ir_version: 8, opset_import: ["": 11, "mine": 1]>
    loss (float[N,3] y, int64[N,3] labels) => (float[1,1] loss) {
        t = Cast <to = 1> (labels)
        s = mine.squared(y, t)
        loss = ReduceMean <axes = [0, 1]> (s)
    }
    <domain: "mine", opset_import: ["": 11]>
    squared (a, b) => (c) { d = Sub(a, b) c = Mul(d, d) }
    """
    path = tmp_path / "old.onnx"
    onnx.save(parser.parse_model(text), path)
    labels = np.arange(12).reshape(4, 3)
    target = torch.tensor(labels.astype(np.float64))
    agree(
        scores("N", 3), OnnxObjective(file=path), normal(4, 3), labels,
        lambda x: F.mse_loss(x, target),
    )  # fmt: skip


def test_bodies_see_what_is_fed(tmp_path: Path) -> None:
    text = """
    loss (float[N,3] y, float[N,3] labels) => (float loss) {
        e = Sub(y, labels)
        yes = Constant <value = bool {1}> ()
        p = If (yes) <then_branch = t () => (float[N,3] a) { a = Mul(e, y) },
                      else_branch = f () => (float[N,3] a) { a = Neg(e) }>
        loss = ReduceMean <keepdims = 0> (p)
    }"""
    labels = normal(4, 3, seed=1)
    made = with_loss(scores("N", 3), OnnxObjective(file=saved(tmp_path, text)), labels)
    made.check()
    x = normal(4, 3)
    found = made.run({"x": x, "labels": labels})[LOSS]
    assert found == pytest.approx(((x - labels) * x).mean(), rel=1e-5)


def test_it_may_be_used_twice(tmp_path: Path) -> None:
    path = saved(tmp_path, MSE, two=np.array(2.0))
    labels = normal(4, 3, seed=1)
    once = with_loss(scores("N", 3), OnnxObjective(file=path), labels)
    again = graph("g (float[N,3] y) => (float[N,3] z) { z = Identity(y) }")
    again = with_loss(again, OnnxObjective(file=path), labels)
    feeds = normal(4, 3)
    assert once.run({"x": feeds, "labels": labels})[LOSS] == pytest.approx(
        again.run({"y": feeds, "labels": labels})[LOSS]
    )


def test_a_file_that_does_not_fit_is_explained(tmp_path: Path) -> None:
    labels = normal(4, 3)
    path = saved(tmp_path, "l (float[N,3] q) => (float loss) { loss = ReduceMean<keepdims=0>(q) }")
    with pytest.raises(UnknownNameError, match=r"(?s)no tensor called 'q'.*input 'q' of .*loss.on"):
        with_loss(scores("N", 3), OnnxObjective(file=path), labels)
    with pytest.raises(UnknownNameError, match=r"no input of .* called 'p'; known: q"):
        with_loss(scores("N", 3), OnnxObjective(file=path, inputs={"p": "y", "q": "y"}), labels)
    path = saved(tmp_path, "l (float[N,3] y) => (float[N,3] loss) { loss = Neg(y) }")
    with pytest.raises(UsageError, match=r"has shape \['N', 3\]; a loss is one number: add a Red"):
        with_loss(scores("N", 3), OnnxObjective(file=path), labels)
    path = saved(tmp_path, "l (float[N,3] y) => (float a, float b) { a = ReduceMax(y) b = Neg(a) }")
    with pytest.raises(UsageError, match=r"has 2 outputs \(a, b\); the model of a loss has one"):
        with_loss(scores("N", 3), OnnxObjective(file=path), labels)
    path = saved(tmp_path, "l (float[N,3] y) => (int64 n) { n = Size(y) }")
    with pytest.raises(UsageError, match="is no float"):
        with_loss(scores("N", 3), OnnxObjective(file=path), labels)
    newer = '<ir_version: 10, opset_import: ["": 23]> l (float[N,3] y) => (float l) '
    path = saved(tmp_path, newer + "{ l = ReduceMean <keepdims = 0> (y) }")
    with pytest.raises(
        UsageError, match=r"made for opset 23 of ai.onnx, and the model .* opset 21"
    ):
        with_loss(scores("N", 3), OnnxObjective(file=path), labels)
