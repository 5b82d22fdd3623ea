"""Samples that are held out are measured on, never trained on, and choose the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.data import open_data
from onnxpress.data.batch import Array, Batch, Feeds
from onnxpress.data.holding import hold_out
from onnxpress.data.overlap import overlaps
from onnxpress.data.sampling import Epochs
from onnxpress.errors import DataError, UsageError
from onnxpress.events import EpochFinished, Event
from onnxpress.metrics import evaluate, open_metric
from onnxpress.training.checkpoint import Position
from onnxpress.training.holdout import Holdout
from onnxpress.training.options import Training
from tests.core.training.fitting import PLAIN, fitted, weights
from tests.core.training.nets import convnet, images, mlp, samples
from tests.graphs import normal


def numbered(count: int) -> dict[str, Array]:
    """Return samples that can be told apart by their first feature."""
    x = normal(count, 6)
    x[:, 0] = np.arange(count)
    return {"x": x, "labels": np.arange(count) % 3}


def numbers(batches: Any) -> list[int]:
    return [int(n) for batch in batches for n in batch.feeds["x"][:, 0]]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("spec", ["", "?limit=30&offset=5", "?shuffle=3&limit=30"])
def test_both_parts_share_nothing_and_leave_nothing(share: float, spec: str, tmp_path: Any) -> None:
    arrays: dict[str, Any] = {**numbered(40)}
    np.savez(tmp_path / "d.npz", **arrays)
    data = open_data(f"{tmp_path / 'd.npz'}:x=x,labels=labels{spec}", mlp())
    train, held = hold_out(data, share, seed=1)
    assert sorted(numbers(train) + numbers(held)) == sorted(numbers(data))
    assert len(numbers(held)) == round(share * (data.samples or 0))
    assert train.labelled
    assert held.labelled
    assert overlaps(train, held) is None


def test_what_is_trained_on_was_never_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    plain = Epochs.batches

    def watched(self: Epochs, epoch: int, start: int = 0) -> Any:
        for batch in plain(self, epoch, start):
            seen.extend(numbers([batch]))
            yield batch

    monkeypatch.setattr(Epochs, "batches", watched)
    measured: list[int] = []

    def metric(output: Array, labels: Array) -> float:
        return 0.0

    def scored(run: Any, data: Any, metric: Any) -> Any:
        measured.extend(numbers(data))
        return evaluate(run, data, metric)

    monkeypatch.setattr("onnxpress.training.holdout.evaluate", scored)
    fitted(mlp(), numbered(40), holdout=0.25, epochs=3, batch=8, balanced=True, lr=1e-5)
    assert len(set(measured)) == 10
    assert len(seen) >= 3 * 30
    assert not set(seen) & set(measured)


def test_the_seed_chooses_the_samples() -> None:
    data = open_data(numbered(40), mlp())
    first, again, other = (numbers(hold_out(data, 0.25, seed)[1]) for seed in (1, 1, 2))
    assert first == again != other


def test_parts_without_samples_are_refused() -> None:
    data = open_data(numbered(4), mlp())
    with pytest.raises(DataError, match=r"holdout=0.1 of the 4 samples of .* is 0; both parts"):
        hold_out(data, 0.1, 0)
    with pytest.raises(UsageError, match="holdout needs samples that can be read in any order"):
        hold_out(open_data([(normal(4, 6), np.zeros(4, np.int64))], mlp()), 0.5, 0)


def recorded(model: Any, source: Any, **options: Any) -> tuple[Any, list[float]]:
    told: list[Event] = []
    result = fitted(model, source, notify=told.append, **options)
    scores = [e.score for e in told if isinstance(e, EpochFinished) and e.score is not None]
    return result, scores


@pytest.mark.parametrize("average", [None, 0.6])
@pytest.mark.parametrize(
    ("metric", "best"), [("top-1", max), ("mse", min), ("cosine", max), (None, max)]
)
def test_the_best_weights_come_back(metric: str | None, best: Any, average: float | None) -> None:
    source = images(60)
    if metric not in {None, "top-1"}:
        source["labels"] = np.eye(3, dtype=np.float32)[source["labels"]]
    options = {**PLAIN, "lr": 0.5, "batch": 8, "epochs": 6, "holdout": 0.3}
    result, scores = recorded(convnet(), source, **options, holdout_metric=metric, average=average)
    assert len(scores) == 6
    assert [entry["score"] for entry in result.history] == scores
    best_epoch = scores.index(best(scores)) + 1
    assert result.best_epoch == (None if best_epoch == 6 else best_epoch)
    assert len({*scores}) > 1
    # Measured on the model that came back, the score is that of its epoch.
    _, held = hold_out(open_data(source, convnet()), 0.3, 0)
    name = metric or "top-1"
    score = evaluate(runner(result.model), held, open_metric(name, ["y"])).value
    assert score == pytest.approx(best(scores), abs=1e-6)


def runner(model: Any) -> Any:
    def run(feeds: Feeds) -> dict[str, Array]:
        found: dict[str, Array] = model.run(feeds)
        return found

    return run


def test_patience_stops_after_epochs_that_were_no_better() -> None:
    # So large a rate makes it worse and worse.
    source = samples(60)
    source["labels"] = np.eye(3, dtype=np.float32)[source["labels"]]
    options = {**PLAIN, "lr": 0.8, "batch": 8, "epochs": 30, "holdout": 0.3, "patience": 2}
    result, scores = recorded(mlp(), source, **options)
    best = scores.index(min(scores)) + 1
    assert len(scores) == best + 2 < 30
    assert result.best_epoch == best
    shorter, _ = recorded(mlp(), source, **{**options, "epochs": best, "patience": None})
    for name, array in weights(shorter.model).items():
        np.testing.assert_array_equal(weights(result.model)[name], array)


def test_any_score_is_better_than_none() -> None:
    data = open_data(samples(), mlp())
    holdout = Holdout.open(mlp(), data, Training(holdout=0.5), 0)
    assert holdout is not None
    assert holdout.is_better(0.1, float("nan"))
    assert not holdout.is_better(float("nan"), float("nan"))
    assert not holdout.is_better(float("nan"), 0.1)
    assert Position().best is None


def test_a_metric_must_be_named_where_there_are_no_labels() -> None:
    data = open_data({"x": normal(8, 6)}, mlp())
    with pytest.raises(UsageError, match="holdout needs a metric, and the data has no labels"):
        Holdout.open(mlp(), data, Training(holdout=0.5), 0)
    assert isinstance(next(iter(data)), Batch)
