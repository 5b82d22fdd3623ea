from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.data.batch import Array, Batch, Data, Feeds
from onnxpress.errors import (
    DataError,
    ModelError,
    OnnxpressError,
    OptionError,
    UnknownNameError,
    UsageError,
)
from onnxpress.metrics import Metric, evaluate, open_metric

RNG = np.random.default_rng(0)


class Batches(Data):
    """Batches as they are given."""

    name = "test data"

    def __init__(self, batches: Iterable[Batch]) -> None:
        self.batches = list(batches)
        self.labelled = all(batch.labels is not None for batch in self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)

    @property
    def samples(self) -> int:
        return sum(batch.size for batch in self)


def same(feeds: Feeds) -> Mapping[str, Array]:
    """Stand in for a model: outputs are what it is fed."""
    return feeds


def score(metric: Metric | str, scores: Array, labels: Any, parts: int = 1) -> float:
    if isinstance(metric, str):
        metric = open_metric(metric, ["out"])
    pairs = zip(
        np.array_split(scores, parts), np.array_split(np.asarray(labels), parts), strict=True
    )
    data = Batches(Batch({"out": s}, y) for s, y in pairs)
    result = evaluate(same, data, metric)
    assert result.samples == len(scores)
    return result.value


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("parts", [1, 3, 7])
def test_top_k_agrees_with_sorting(k: int, parts: int) -> None:
    scores = RNG.standard_normal((50, 10)).astype(np.float32)
    labels = RNG.integers(0, 10, 50)
    expected = np.mean([y in np.argsort(-s)[:k] for s, y in zip(scores, labels, strict=True)])
    assert score(f"top-{k}", scores, labels, parts) == pytest.approx(expected, abs=1e-12)


def test_top_1_breaks_ties_as_argmax_does() -> None:
    scores = RNG.integers(0, 3, (200, 6)).astype(np.float32)
    labels = RNG.integers(0, 6, 200)
    assert score("top-1", scores, labels) == np.mean(scores.argmax(1) == labels)
    assert score("top-2", np.zeros((4, 3), np.float32), [0, 1, 2, 2]) == 0.5


@pytest.mark.parametrize(
    "labels",
    [
        np.array([1, 0, 2, 2], np.uint8),
        np.array([[1], [0], [2], [2]]),
        np.array([1.0, 0.0, 2.0, 2.0]),
        np.eye(3)[[1, 0, 2, 2]],
        np.eye(3, dtype=bool)[[1, 0, 2, 2]],
    ],
)
def test_labels_come_as_indices_or_one_hot(labels: Array) -> None:
    scores = np.eye(3, dtype=np.float32)[[1, 0, 2, 0]]
    assert score("top-1", scores, labels) == 0.75
    assert score("top-1", scores[:, :, None, None], labels) == 0.75


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 3, 1], r"label 3 of sample 2 in batch 0 .* 3 classes, 0 to 2"),
        ([0, -1, 0, 0], "label -1 of sample 1"),
        ([0, 0.5, 0, 0], "label 0.5 of sample 1"),
        ([0, np.nan, 0, 0], "label nan of sample 1"),
        (np.full((4, 3), 0.3), "are not one-hot"),
        (np.ones((4, 3)), "are not one-hot"),
        (np.zeros((4, 5), int), r"shape \(4, 5\) for 4 samples"),
    ],
)
def test_labels_that_fit_no_class_are_named(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        score("top-1", np.zeros((4, 3), np.float32), labels)


def test_the_batch_of_a_wrong_label_is_named() -> None:
    with pytest.raises(DataError, match="label 9 of sample 1 in batch 2"):
        score("top-1", np.zeros((6, 3), np.float32), [0, 0, 0, 0, 0, 9], parts=3)


def test_top_k_wants_one_output_with_scores() -> None:
    with pytest.raises(UsageError, match=r"2 outputs \(a, b\).*top-1:output=a"):
        open_metric("top-1", ["a", "b"])
    with pytest.raises(UnknownNameError, match="output called 'logit'; did you mean 'logits'"):
        open_metric("top-1:output=logit", ["logits", "b"])
    two = Batches([Batch({"a": np.eye(2), "b": np.zeros(2)}, np.array([0, 0]))])
    assert evaluate(same, two, open_metric("top-1:output=a", ["a", "b"])).value == 0.5
    with pytest.raises(UsageError, match=r"output 'out' has shape \(4,\)"):
        score("top-1", np.zeros(4), np.zeros(4, int))
    with pytest.raises(UsageError, match=r"output 'out' has shape \(4, 3, 2\)"):
        score("top-1", np.zeros((4, 3, 2)), np.zeros(4, int))
    with pytest.raises(UsageError, match="top-5 of 3 classes is always 1"):
        score("top-5", np.zeros((4, 3)), np.zeros(4, int))


def test_top_k_without_labels_says_what_to_do() -> None:
    with pytest.raises(
        UsageError, match=r"top-1 needs labels; test data has none: .* mse or cosine"
    ):
        evaluate(same, Batches([Batch({"out": np.eye(3)})]), open_metric("top-1", ["out"]))


@pytest.mark.parametrize("metric", ["top-1", "mse", "cosine"])
def test_an_output_that_is_nan_is_named(metric: str) -> None:
    outputs = np.zeros((4, 3), np.float32)
    outputs[2, 1] = np.nan
    labels = np.zeros(4, int) if metric == "top-1" else np.zeros((4, 3), np.float32)
    with pytest.raises(ModelError, match=r"output 'out' .* is NaN in batch 0 at \[2, 1\]"):
        score(metric, outputs, labels)


def run_both(metric: str, outputs: Array, reference: Array, parts: int = 1) -> float:
    data = Batches(Batch({"out": part}) for part in np.array_split(outputs, parts))
    references = iter(np.array_split(reference, parts))
    found = evaluate(same, data, open_metric(metric, ["out"]), lambda _: {"out": next(references)})
    return found.value


@pytest.mark.parametrize("parts", [1, 3])
def test_mse_and_cosine_compare_with_the_reference(parts: int) -> None:
    a, b = RNG.standard_normal((2, 20, 3, 4)).astype(np.float32)
    assert run_both("mse", a, b, parts) == pytest.approx(np.mean((a - b) ** 2), rel=1e-6)
    cosines = [
        np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y)
        for x, y in zip(a.reshape(20, -1), b.reshape(20, -1), strict=True)
    ]
    assert run_both("cosine", a, b, parts) == pytest.approx(np.mean(cosines), rel=1e-6)


def test_a_zero_vector_is_like_another_only() -> None:
    a, b = np.array([[0.0, 0], [0, 0], [1, 1]]), np.array([[0.0, 0], [1, 0], [2, 2]])
    assert run_both("cosine", a, b) == pytest.approx(2 / 3)


def test_float_labels_of_the_right_shape_go_before_the_reference() -> None:
    a, b = RNG.standard_normal((2, 5, 3))
    assert score("mse", a, b) == pytest.approx(np.mean((a - b) ** 2))
    data = Batches([Batch({"out": a}, np.arange(5))])
    metric = open_metric("mse", ["out"])
    assert evaluate(same, data, metric, same).value == 0
    with pytest.raises(UsageError, match=r"labels int64 \(5,\), and outputs 'out' \(5, 3\)"):
        evaluate(same, data, metric)
    with pytest.raises(UsageError, match="mse needs labels, or the original model"):
        evaluate(same, Batches([Batch({"out": a})]), metric)


def test_all_float_outputs_count_unless_one_is_named() -> None:
    feeds = {"a": np.ones((2, 3)), "b": np.full((2, 1), 3.0), "ids": np.ones((2, 2), int)}
    zeros = {name: np.zeros_like(array) for name, array in feeds.items()}
    data = Batches([Batch(feeds)])

    def value(metric: str) -> float:
        return evaluate(same, data, open_metric(metric, list(feeds)), lambda _: zeros).value

    assert value("mse") == pytest.approx((6 * 1 + 2 * 9) / 8)
    assert value("mse:output=b") == 9
    with pytest.raises(UsageError, match="compares float outputs, and there are none"):
        value("mse:output=ids")


def test_outputs_that_can_not_be_compared_are_named() -> None:
    with pytest.raises(
        ModelError, match=r"output 'out' has shape \(2, 3\).*original model gives \(2, 4\)"
    ):
        run_both("mse", np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ModelError, match="mse is inf in batch 0"):
        run_both("mse", np.full((2, 3), np.inf), np.zeros((2, 3)))
    with pytest.raises(ModelError, match="mse is nan in batch 0"):
        run_both("mse", np.full((2, 3), np.inf), np.full((2, 3), np.inf))


def mean_label(_outputs: Mapping[str, Array], labels: Array | None) -> float:
    assert labels is not None
    return float(labels.mean())


class Largest:
    """A metric that no mean over batches gives."""

    higher_is_better = False

    def __init__(self) -> None:
        self.largest = 0.0

    def update(self, outputs: Mapping[str, Array], _labels: Array | None) -> None:
        self.largest = max(self.largest, float(outputs["out"].max()))

    def value(self) -> float:
        return self.largest


def test_a_function_is_averaged_over_samples() -> None:
    metric = open_metric(mean_label, ["out"])
    assert (metric.name, metric.higher_is_better, metric.needs) == ("mean_label", True, "nothing")
    labels = np.arange(10)
    assert score(metric, np.zeros((10, 2)), labels, parts=4) == pytest.approx(4.5)


def test_a_class_counts_for_itself() -> None:
    metric = open_metric(Largest, ["out"])
    assert (metric.name, metric.higher_is_better) == ("Largest", False)
    scores = np.arange(20.0).reshape(10, 2)
    assert score(metric, scores, np.zeros(10), parts=3) == 19
    assert score(metric, scores[:5], np.zeros(5), parts=3) == 9


def test_a_callable_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h4_metric.py").write_text("def half(outputs, labels): return 0.5")
    metric = open_metric("h4_metric:half", ["out"])
    assert metric.name == "h4_metric:half"
    assert score(metric, np.zeros((4, 2)), np.zeros(4)) == 0.5


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda _outputs, _labels: 1 / 0, "failed in batch 0: ZeroDivisionError"),
        (lambda _outputs, _labels: None, "returned NoneType in batch 0, not a number"),
        (lambda _outputs, _labels: float("nan"), "returned NaN in batch 0"),
        (lambda: 1, "failed in batch 0: TypeError"),
    ],
)
def test_a_callable_that_fails_is_quoted(function: Any, message: str) -> None:
    with pytest.raises(OnnxpressError, match=f"metric <lambda> {message}"):
        score(open_metric(function, ["out"]), np.zeros((4, 2)), np.zeros(4))


def test_unknown_metrics_get_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no metric called 'cosin'; did you mean 'cosine'"):
        open_metric("cosin", ["out"])
    with pytest.raises(UnknownNameError, match="no metric called 'top1'; did you mean 'top-1'"):
        open_metric("top1", ["out"])
    with pytest.raises(UnknownNameError, match="no metric called 'top-0'"):
        open_metric("top-0", ["out"])
    with pytest.raises(OptionError, match="expected :output=name"):
        open_metric("mse:logits", ["out"])
    with pytest.raises(UsageError, match="a metric is a name or a callable, not int"):
        open_metric(3, ["out"])  # type: ignore[arg-type]


def test_a_meter_that_saw_nothing_has_no_value() -> None:
    for metric in ("top-1", "mse", "cosine", mean_label, Largest):
        assert isnan(open_metric(metric, ["out"]).start().value())
    with pytest.raises(DataError, match="no batches to score"):
        evaluate(same, Batches([]), open_metric("top-1", ["out"]))
