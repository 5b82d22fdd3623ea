"""Judging a run: one metric, on validation data, of the original and of what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxpress.data import open_data
from onnxpress.data.batch import Batch, Data
from onnxpress.errors import UsageError
from onnxpress.events import Event, Progress
from onnxpress.metrics import evaluate, has_class_labels, open_metric

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.metrics import Metric
    from onnxpress.metrics.evaluation import Score
    from onnxpress.recipe import Recipe
    from onnxpress.session import Session


@dataclass(frozen=True)
class Judge:
    """Scores models with one metric on the same data.

    Attributes:
        metric: How to score.
        validation: What to score on.
        original: What metrics compare with that have no labels to go by.
        notify: Told how far it has come.
    """

    metric: Metric
    validation: Data
    original: Session
    notify: Callable[[Event], None]

    def score(self, session: Session, label: str) -> Score:
        """Score a model.

        Raises:
            UsageError: If the metric needs labels, and there are none.
            ModelError: If an output holds NaN.
            DataError: If the data can't be used, or its labels do not fit the outputs.
        """
        data = _Followed(self.validation, label, self.notify)
        return evaluate(session.run, data, self.metric, self.original.run)

    def loss(self, before: Score, after: Score) -> float:
        """Return by how much the metric got worse; negative if it got better."""
        better, worse = (before, after) if self.metric.higher_is_better else (after, before)
        return better.value - worse.value


def open_judge(recipe: Recipe, original: Model, notify: Callable[[Event], None]) -> Judge | None:
    """Return who judges a run as the recipe asks, None if there is nothing to judge on.

    Raises:
        UsageError: If there is a metric or a limit but no validation data.
        ModelError: If ONNX Runtime does not load the original.
    """
    from onnxpress.session import Session

    check_can_judge(recipe)
    if recipe.validation is None:
        return None
    validation = open_data(recipe.validation, original)
    outputs = [value.name or "" for value in original.outputs]
    metric = open_metric(recipe.metric or _usual(validation, len(outputs)), outputs)  # type: ignore[arg-type]
    return Judge(metric, validation, Session(original), notify)


def check_can_judge(recipe: Recipe) -> None:
    """Refuse a metric, or a limit, that could not be measured.

    Raises:
        UsageError: Saying what to give.
    """
    if recipe.validation is not None:
        return
    give = "give some with --validation, or validation=… in Python"
    if recipe.metric is not None:
        also = "; --data is what steps calibrate and train on" if recipe.data is not None else ""
        raise UsageError(f"the metric {recipe.metric} needs data to be measured on: {give}{also}")
    if recipe.max_drop is not None:
        raise UsageError(f"max-drop limits a metric, which needs data to be measured on: {give}")


def _usual(validation: Data, outputs: int) -> str:
    """Choose a metric: top-1 for class indices, else likeness to the original's outputs."""
    return "top-1" if outputs == 1 and has_class_labels(validation) else "cosine"


class _Followed(Data):
    """Data that tells how far somebody has gone through it."""

    def __init__(self, data: Data, label: str, notify: Callable[[Event], None]) -> None:
        self.name, self.labelled = data.name, data.labelled
        self._data, self._label, self._notify = data, label, notify

    def __iter__(self) -> Iterator[Batch]:
        done = 0
        for batch in self._data:
            yield batch
            done += batch.size
            self._notify(Progress(self._label, done, self.samples))

    @property
    def samples(self) -> int | None:
        return self._data.samples
