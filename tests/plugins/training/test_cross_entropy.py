"""``cross-entropy`` against PyTorch: values, gradients, labels of every kind, and mistakes."""

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

WEIGHTS = [0.5, 2.0, 1.0]
LABELS = np.array([0, 2, 1, 1, -100, 2])
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.1},
    "weighted": {"class_weights": WEIGHTS},
    "ignoring": {"ignore_index": -100},
    "all": {"label_smoothing": 0.2, "class_weights": WEIGHTS, "ignore_index": -100},
    "smoothed, ignoring": {"label_smoothing": 0.2, "ignore_index": -100},
    "smoothed, weighted": {"label_smoothing": 0.2, "class_weights": WEIGHTS},
}


def cross_entropy(labels: Array, options: dict[str, Any], axis: int = 1) -> Any:
    given = dict(options)
    if "class_weights" in given:
        given["weight"] = torch.tensor(given.pop("class_weights"), dtype=torch.float64)
    target = torch.tensor(labels)
    if target.is_floating_point():
        target = target.double()

    def loss(x: torch.Tensor) -> torch.Tensor:
        wanted = target.movedim(axis, 1) if target.ndim == x.ndim else target
        return F.cross_entropy(x.movedim(axis, 1), wanted, **given)

    return loss


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("dims", [(6, 3), ("N", 3), ("N", "C")])
def test_class_indices(name: str, dims: tuple[Any, ...]) -> None:
    options = OPTIONS[name]
    labels = LABELS if "ignore_index" in options else np.abs(LABELS) % 3
    x = normal(6, 3)
    objective = objectives.CrossEntropy(**options)
    agree(scores(*dims), objective, x, labels, cross_entropy(labels, options))


@pytest.mark.parametrize("name", ["plain", "smoothed", "weighted", "smoothed, weighted"])
@pytest.mark.parametrize("dims", [(6, 3), ("N", "C")])
def test_probabilities(name: str, dims: tuple[Any, ...]) -> None:
    options = OPTIONS[name]
    labels = np.exp(normal(6, 3, seed=1))
    labels /= labels.sum(axis=1, keepdims=True)
    objective = objectives.CrossEntropy(**options)
    agree(scores(*dims), objective, normal(6, 3), labels, cross_entropy(labels, options))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize(
    ("dims", "axis"), [(("N", 3, "H", "W"), 1), ((2, "T", 3), -1), (("N", 4, 3), 2)]
)
def test_further_axes(name: str, dims: tuple[Any, ...], axis: int) -> None:
    options = OPTIONS[name]
    x = normal(2, 3, 4, 5) if len(dims) == 4 else normal(2, 4, 3)
    rest = tuple(np.delete(x.shape, axis))
    labels = np.random.default_rng(0).integers(0, 3, rest)
    if "ignore_index" in options:
        labels[0, 0] = -100
    objective = objectives.CrossEntropy(axis=axis, **options)
    agree(scores(*dims), objective, x, labels, cross_entropy(labels, options, axis))


def test_one_hot_rows_and_columns_of_indices_are_class_indices() -> None:
    x, indices = normal(4, 3), np.array([0, 2, 1, 1])
    wanted, _ = loss_and_slope(scores("N", 3), objectives.CrossEntropy(), x, indices)
    one_hot = np.eye(3, dtype=np.uint8)[indices]
    for labels in (one_hot, one_hot.astype(np.float32), indices[:, None], indices.astype("f4")):
        found, _ = loss_and_slope(scores("N", 3), objectives.CrossEntropy(), x, labels)
        assert found == pytest.approx(wanted)


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_extreme_scores_are_no_trouble(size: float) -> None:
    x = np.array([[size, -size, 0], [-size, size, 0]], np.float32)
    loss, slope = loss_and_slope(scores("N", 3), objectives.CrossEntropy(), x, np.array([0, 0]))
    assert loss == pytest.approx(size)
    np.testing.assert_allclose(slope, np.array([[0, 0, 0], [-0.5, 0.5, 0]]), atol=1e-6)


def test_where_all_is_ignored_the_loss_is_zero() -> None:
    objective = objectives.CrossEntropy(ignore_index=9)
    loss, slope = loss_and_slope(scores("N", 3), objective, normal(2, 3), np.array([9, 9]))
    assert loss == 0
    assert not slope.any()


@pytest.mark.parametrize("end", ["Softmax", "LogSoftmax"])
def test_a_model_that_ends_in_softmax_is_trained_on_its_logits(end: str) -> None:
    model = graph(
        f"g (float[N,3,1,1] x) => (float[N,3] y) {{ s = {end} <axis = 1> (x) y = Flatten(s) }}"
    )
    x = np.array([[100, -100, 0], [0, 1, 2]], np.float32)  # probabilities would round to 0
    labels = np.array([1, 2])
    loss, slope = loss_and_slope(model, objectives.CrossEntropy(), x[:, :, None, None], labels)
    t = torch.tensor(x, requires_grad=True)
    wanted: Any = F.cross_entropy(t, torch.tensor(labels))
    wanted.backward()
    assert loss == pytest.approx(wanted.item())
    assert t.grad is not None
    np.testing.assert_allclose(slope[:, :, 0, 0], t.grad.numpy(), atol=1e-6)


def test_half_precision_scores_are_computed_in_float32() -> None:
    x = normal(4, 3).astype(np.float16)
    loss, slope = loss_and_slope(
        scores("N", 3, kind="float16"), objectives.CrossEntropy(), x, np.array([0, 1, 2, 0])
    )
    wanted = F.cross_entropy(torch.tensor(x.astype(np.float32)), torch.tensor([0, 1, 2, 0]))
    assert loss == pytest.approx(wanted.item(), rel=1e-6)
    assert slope.dtype == np.float16


BAD: dict[str, tuple[Array, bool, str]] = {
    "a class too many": (
        np.array([0, 3, 1]),
        False,
        "label 3 of sample 1 in batch 7 is no class index; the model has 3 classes, 0 to 2",
    ),
    "below zero": (np.array([0, 0, -1]), False, "label -1 of sample 2 in batch 7 is no class"),
    "no whole number": (np.array([0.5, 1, 2]), True, "label 0.5 of sample 0 in batch 7"),
    "another shape": (
        np.zeros((3, 4), int),
        False,
        r"labels of batch 7 have shape \(3, 4\), and the scores 'y' \(N, 3\) with classes along "
        r"axis 1; give class indices of shape \(N,\)",
    ),
    "not one-hot": (np.ones((3, 3), int), False, "but are not one-hot"),
    "no distribution": (
        np.full((2, 3), 0.5),
        True,
        "probabilities of sample 0 in batch 7 add up to 1.5, not to 1; for labels that do not "
        "exclude each other, use binary-cross-entropy",
    ),
    "a negative share": (np.array([[1.5, -0.5, 0]]), True, "label 1.5 of sample 0 .at 0. in"),
    "text": (np.array(["cat", "dog"]), False, "labels of batch 7 are <U3, not numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_labels_that_can_not_be_used_are_explained(case: str) -> None:
    labels, floating, said = BAD[case]
    goal = LabelGoal("y", ("N", 3), floating)
    with pytest.raises(DataError, match=said):
        objectives.CrossEntropy().read_labels(labels, goal, "batch 7")


def test_in_an_image_the_place_is_named() -> None:
    labels = np.zeros((2, 4, 5), int)
    labels[1, 2, 3] = 255
    goal = LabelGoal("y", ("N", 3, "H", "W"), floating=False)
    with pytest.raises(DataError, match=r"label 255 of sample 1 \(at 2, 3\) in batch 7"):
        objectives.CrossEntropy().read_labels(labels, goal, "batch 7")
    read = objectives.CrossEntropy(ignore_index=255).read_labels(labels, goal, "batch 7")
    assert read.dtype == np.int64
    assert read[1, 2, 3] == 255


def test_what_does_not_fit_the_model_is_refused() -> None:
    labels = np.zeros(2, int)
    with pytest.raises(UsageError, match=r"has one class along axis 1.*binary-cross-entropy"):
        with_loss(scores("N", 1), objectives.CrossEntropy(), labels)
    with pytest.raises(UsageError, match="there are 2 class-weights, and 'y' has 3 classes"):
        with_loss(scores("N", 3), objectives.CrossEntropy(class_weights=[1, 2]), labels)
    with pytest.raises(UsageError, match="'y' has 2 axes, so axis=2 is not one of them"):
        with_loss(scores("N", 3), objectives.CrossEntropy(axis=2), labels)
    model = graph("g (float[N,4,3] x) => (float[N,4,3] y) { y = Softmax(x) }")
    with pytest.raises(UsageError, match="model's Softmax goes over axis 2; write axis=2"):
        with_loss(model, objectives.CrossEntropy(), np.zeros((2, 4), int))
    with pytest.raises(UsageError, match="cross-entropy needs labels"):
        with_loss(scores("N", 3), objectives.CrossEntropy())
