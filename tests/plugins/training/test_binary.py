"""``binary-cross-entropy`` against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from onnxpress.data.batch import Array
from onnxpress.errors import DataError, UsageError
from onnxpress.training.goal import LabelGoal
from onnxpress_training import objectives
from tests.graphs import graph, normal
from tests.plugins.training.building import agree, loss_and_slope, scores, with_loss

LABELS = (normal(6, 3, seed=1) > 0).astype(np.int64)


def wanted(labels: Array, weights: Any = None) -> Any:
    given = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    target = torch.tensor(labels.astype(np.float64))
    return lambda x: F.binary_cross_entropy_with_logits(x, target, pos_weight=given)


@pytest.mark.parametrize("weights", [None, 3.0, [0.5, 2, 4]])
@pytest.mark.parametrize("labels", [LABELS, LABELS.astype(bool), normal(6, 3) % 1])
@pytest.mark.parametrize("dims", [(6, 3), ("N", "C")])
def test_many_labels(weights: Any, labels: Array, dims: tuple[Any, ...]) -> None:
    given = {} if weights is None else {"pos_weight": weights}
    objective = objectives.BinaryCrossEntropy(**given)
    agree(scores(*dims), objective, normal(6, 3), labels, wanted(labels, weights))


def test_one_label_for_each_sample() -> None:
    labels = LABELS[:, 0]
    objective = objectives.BinaryCrossEntropy()
    agree(scores("N", 1), objective, normal(6, 1), labels, wanted(labels[:, None]))
    agree(scores("N"), objective, normal(6), labels[:, None], wanted(labels))


def test_extreme_scores_are_no_trouble_and_zero_has_a_slope() -> None:
    x = np.array([[200, -200, 200, -200, 0, 0]], np.float32)
    y = np.array([[1, 0, 0, 1, 0, 1]])
    agree(scores("N", 6), objectives.BinaryCrossEntropy(), x, y, wanted(y))


def test_a_model_that_ends_in_sigmoid_is_trained_on_its_logits() -> None:
    model = graph("g (float[N,2] x) => (float[N,2] y) { y = Sigmoid(x) }")
    x = np.array([[150, -150], [1, 2]], np.float32)
    y = np.array([[0, 1], [1, 0]])
    agree(model, objectives.BinaryCrossEntropy(), x, y, wanted(y))


def test_labels_that_can_not_be_used_are_explained() -> None:
    read = objectives.BinaryCrossEntropy().read_labels
    goal = LabelGoal("y", ("N", 3), floating=False)
    with pytest.raises(DataError, match=r"label 2 of sample 1 \(at 0\) in batch 7 is no probab"):
        read(np.array([[0, 1, 0], [2, 0, 0]]), goal, "batch 7")
    with pytest.raises(DataError, match=r"labels of batch 7 have shape \(2,\), and 'y', which"):
        read(np.array([0, 1]), goal, "batch 7")


def test_weights_of_another_number_are_refused() -> None:
    objective = objectives.BinaryCrossEntropy(pos_weight=[1, 2])
    with pytest.raises(UsageError, match="there are 2 values of pos-weight, and 'y' has 3"):
        with_loss(scores("N", 3), objective, LABELS)


def test_half_precision_is_computed_in_float32() -> None:
    x = normal(6, 3).astype(np.float16)
    model = scores("N", 3, kind="float16")
    loss, _ = loss_and_slope(model, objectives.BinaryCrossEntropy(), x, LABELS)
    assert loss == pytest.approx(wanted(LABELS)(torch.tensor(x.astype(float))).item(), rel=1e-6)
