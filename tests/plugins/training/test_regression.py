"""Squared and absolute error, Huber and cosine against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from onnxpress.contract import Objective
from onnxpress.errors import DataError, UnknownNameError, UsageError
from onnxpress.training.goal import LabelGoal
from onnxpress_training import objectives
from tests.graphs import graph, normal
from tests.plugins.training.building import agree, loss_and_slope, scores, with_loss

CASES: dict[str, tuple[Objective, Callable[[Any, Any], Any]]] = {
    "mse": (objectives.MeanSquaredError(), F.mse_loss),
    "mae": (objectives.MeanAbsoluteError(), F.l1_loss),
    "huber": (objectives.Huber(), F.huber_loss),
    "huber, wide": (objectives.Huber(delta=2.5), lambda x, y: F.huber_loss(x, y, delta=2.5)),
    "cosine": (objectives.Cosine(), lambda x, y: (1 - F.cosine_similarity(x, y, -1)).mean()),
    "cosine, axis 1": (
        objectives.Cosine(axis=1),
        lambda x, y: (1 - F.cosine_similarity(x, y, 1)).mean(),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dims", "shape"), [(("N", 3), (5, 3)), (("N", "T", 3), (2, 4, 3))])
def test_values_and_gradients(name: str, dims: tuple[Any, ...], shape: tuple[int, ...]) -> None:
    objective, function = CASES[name]
    labels = 2 * normal(*shape, seed=1)
    target = torch.tensor(labels.astype(np.float64))
    agree(scores(*dims), objective, normal(*shape), labels, lambda x: function(x, target))


@pytest.mark.parametrize("name", CASES)
def test_labels_take_the_shape_of_what_they_are_compared_with(name: str) -> None:
    objective, function = CASES[name]
    labels = np.arange(4)
    target = torch.tensor(labels[:, None].astype(np.float64))
    agree(scores("N", 1), objective, normal(4, 1), labels, lambda x: function(x, target))


def test_the_cosine_of_nothing_has_no_slope() -> None:
    loss, slope = loss_and_slope(
        scores("N", 3), objectives.Cosine(), np.zeros((2, 3), np.float32), normal(2, 3)
    )
    assert loss == 1
    assert np.isfinite(slope).all()


def test_where_nothing_is_wrong_there_is_nothing_to_learn() -> None:
    for objective, _ in CASES.values():
        x = normal(3, 4)
        loss, slope = loss_and_slope(scores("N", 4), objective, x, x.copy())
        assert loss == pytest.approx(0, abs=1e-6)
        np.testing.assert_allclose(slope, 0, atol=1e-6)


def test_any_inner_tensor_can_be_compared() -> None:
    model = graph("g (float[N,3] x) => (float[N,3] y) { h = Mul(x, x) y = Neg(h) }")
    x, labels = normal(2, 3), normal(2, 3, seed=1)
    target = torch.tensor(labels.astype(np.float64))
    objective = objectives.MeanSquaredError(output="h")
    agree(model, objective, x, labels, lambda t: F.mse_loss(t * t, target))
    with pytest.raises(UnknownNameError, match="no tensor called 'hh'; did you mean 'h'"):
        with_loss(model, objectives.MeanSquaredError(output="hh"), labels)


def test_of_several_outputs_one_must_be_named() -> None:
    model = graph("g (float[N] x) => (float[N] a, float[N] b) { a = Neg(x) b = Neg(a) }")
    with pytest.raises(UsageError, match=r"the model has 2 outputs \(a, b\); say which"):
        with_loss(model, objectives.MeanSquaredError(), normal(2))


def test_labels_that_can_not_be_used_are_explained() -> None:
    read = objectives.MeanSquaredError().read_labels
    goal = LabelGoal("y", ("N", 3), floating=True)
    with pytest.raises(DataError, match=r"have shape \(2,\), and 'y'.* \(N, 3\); give one value"):
        read(normal(2), goal, "batch 7")
    with pytest.raises(DataError, match=r"label nan of sample 1 \(at 2\) in batch 7 is not fin"):
        read(np.array([[0, 0, 0], [0, 0, np.nan]]), goal, "batch 7")
    assert read(np.ones((2, 3), bool), goal, "batch 7").dtype == np.float32
