"""`fit`: chance, epochs and updates, what is told, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from onnxpress.errors import DataError, OptionError, UsageError
from onnxpress.events import EpochFinished, Event, Trained
from onnxpress.graph.model import Model
from onnxpress.ordering import open_in_order
from onnxpress.testing.require import as_bytes
from onnxpress.training import running
from tests.core.training.fitting import PLAIN, changed, fitted, weights
from tests.core.training.nets import convnet, images, mlp, samples
from tests.graphs import graph, normal


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"augment": ["flip", "noise"], "epochs": 2},
        {"balanced": True},
        {"average": 0.9, "accumulate": 2, "optimizer": "lamb"},
    ],
)
def test_the_seed_decides_every_byte(options: dict[str, Any]) -> None:
    first, again, other = (
        as_bytes(fitted(convnet(), images(), seed=seed, batch=8, lr=0.05, **options).model)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_threads_are_those_asked_for_and_change_nothing_but_rounding() -> None:
    one, two = (
        fitted(convnet(), images(), batch=8, lr=0.05, epochs=2, threads=threads).model
        for threads in (1, 2)
    )
    for name, array in weights(one).items():
        np.testing.assert_allclose(weights(two)[name], array, atol=1e-5)


def test_the_session_gets_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def watched(model: Model, threads: int = 0) -> Any:
        asked.append(threads)
        return open_in_order(model, threads)

    monkeypatch.setattr(running, "open_in_order", watched)
    fitted(mlp(), samples(), threads=3)
    assert asked == [3]


def test_a_provider_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"has no MoonExecutionProvider here; it has .*CPUExec"):
        fitted(mlp(), samples(), provider="MoonExecutionProvider")


def test_what_is_told() -> None:
    told: list[Event] = []
    result = fitted(
        mlp(), samples(), notify=told.append, batch=16, epochs=2, lr=0.5,
        schedule="constant", objective=["cross-entropy", "l2:weight=0.1"],
    )  # fmt: skip
    batches = [event for event in told if isinstance(event, Trained)]
    epochs = [event for event in told if isinstance(event, EpochFinished)]
    assert [(e.epoch, e.batch, e.updates) for e in batches] == [
        (0, 1, 1), (0, 2, 2), (0, 3, 3), (1, 1, 4), (1, 2, 5), (1, 3, 6),
    ]  # fmt: skip
    assert {(e.epochs, e.batches, e.learning_rate) for e in batches} == {(2, 3, 0.5)}
    for event in batches:
        parts = event.losses
        assert parts["loss"] == pytest.approx(parts["cross-entropy"] + 0.1 * parts["l2"])
    mean = np.mean([event.losses["loss"] for event in batches[:3]])
    assert epochs[0].losses["loss"] == pytest.approx(mean)
    assert [entry["epoch"] for entry in result.history] == [1, 2]
    assert [entry["loss"] for entry in result.history] == [e.losses["loss"] for e in epochs]
    assert result.history[1]["loss"] < result.history[0]["loss"]
    assert (result.best_epoch, epochs[0].score) == (None, None)


def test_steps_end_a_fit_within_an_epoch() -> None:
    told: list[Event] = []
    fitted(mlp(), samples(), notify=told.append, batch=8, epochs=9, steps=7)
    assert sum(isinstance(event, Trained) for event in told) == 7
    rates = [event.learning_rate for event in told if isinstance(event, Trained)]
    assert rates == pytest.approx([1e-3 * (1 + np.cos(np.pi * n / 7)) / 2 for n in range(7)])


class Stream:
    """Batches of which nobody knows how many there are."""

    def __init__(self, batches: int | None) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        index = 0
        while self.batches is None or index < self.batches:
            part = samples(10, seed=index % 4)
            yield part["x"], part["labels"]
            index += 1


@pytest.mark.parametrize(
    ("batches", "options"),
    [(4, {"epochs": 2}), (None, {"steps": 8}), (None, {"steps": 8, "epochs": 2})],
)
def test_the_schedule_of_a_stream_ends_where_the_fit_ends(
    batches: int | None, options: dict[str, Any]
) -> None:
    told: list[Event] = []
    fitted(mlp(), Stream(batches), notify=told.append, batch=10, lr=1, shuffle=False, **options)
    rates = [event.learning_rate for event in told if isinstance(event, Trained)]
    assert rates == pytest.approx([(1 + np.cos(np.pi * n / 8)) / 2 for n in range(8)])


def test_the_last_batch_of_an_epoch_updates_whatever_was_accumulated() -> None:
    told: list[Event] = []
    fitted(mlp(), samples(), notify=told.append, batch=8, epochs=2, accumulate=3)
    updates = [event.updates for event in told if isinstance(event, Trained)]
    assert updates == [0, 0, 1, 1, 2, 2, 2, 3, 3, 4]


def test_tensors_that_the_loss_does_not_see_are_named_and_stay() -> None:
    model = graph(
        "g (float[N,4] x) => (float[N,4] y, float[N,4] z) { y = MatMul(x, w) z = MatMul(y, v) }",
        w=normal(4, 4),
        v=normal(4, 4, seed=1),
    )
    source = {"x": normal(8, 4), "labels": normal(8, 4, seed=2)}
    result = fitted(model, source, objective="mean-squared-error:output=y")
    assert (result.trained, result.unused) == (("w",), ("v",))
    assert changed(model, result.model) == {"w"}


def test_an_unused_input_that_is_called_labels_is_fed_all_the_same() -> None:
    text = """g (float[N,4] x, float[N,4] labels_in) => (float[N,4] y, float[N,4] z) {
        y = MatMul(x, w) z = Relu(labels_in)
    }"""
    batches = [({"x": normal(8, 4), "labels_in": normal(8, 4)}, normal(8, 4, seed=2))]
    model = graph(text, w=normal(4, 4))
    result = fitted(model, batches, objective="mean-squared-error:output=y")
    assert changed(model, result.model) == {"w"}


def test_data_that_does_not_go_on_as_it_began() -> None:
    x, y = normal(4, 6), np.zeros(4, np.int64)
    with pytest.raises(DataError, match=r"batch 2 of epoch 1.*0 to 2"):
        fitted(mlp(), [(x, y), (x, y + 7)], **PLAIN)


def test_a_batch_that_the_model_does_not_take() -> None:
    model = graph("g (float[2,4] x) => (float[2,4] y) { y = MatMul(x, w) }", w=normal(4, 4))
    source = {"x": normal(8, 4), "labels": normal(8, 4, seed=2)}
    with pytest.raises(OptionError, match="takes 2 at once, because dimension 0 of input"):
        fitted(model, source, batch=8)
    assert changed(model, fitted(model, source, accumulate=4).model) == {"w"}


def test_a_loss_of_nothing() -> None:
    source = {"x": normal(8, 6), "labels": normal(8, 8)}
    with pytest.raises(UsageError, match="the loss depends on none of the parameters"):
        fitted(mlp(), source, train_layers="y", objective="mean-squared-error:output=a")
