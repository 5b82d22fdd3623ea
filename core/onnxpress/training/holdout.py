"""What is held out of the data, and how weights are scored on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from onnxpress.data.holding import hold_out
from onnxpress.errors import UsageError
from onnxpress.metrics import evaluate, has_class_labels, open_metric
from onnxpress.training.trial import Trial

if TYPE_CHECKING:
    import onnxruntime as ort

    from onnxpress.data.batch import Data
    from onnxpress.graph.model import Model
    from onnxpress.metrics.metric import Metric
    from onnxpress.training.options import Training


@dataclass
class Holdout:
    """Data that is not trained on.

    Attributes:
        train: What is left to train on.
        data: What is held out.
        metric: How weights are scored on it.
        model: The model that is trained.
        options: How it is trained.
    """

    train: Data
    data: Data
    metric: Metric
    model: Model
    options: Training
    trial: Trial | None = None

    @classmethod
    def open(cls, model: Model, data: Data, options: Training, seed: int) -> Holdout | None:
        """Hold out what the options ask for; None if that is nothing.

        Raises:
            UsageError: If there is no metric that fits.
            DataError: If too few samples are left.
        """
        if not options.holdout:
            return None
        outputs = [value.name or "" for value in model.outputs]
        name = options.holdout_metric or _usual(data, len(outputs))
        train, held = hold_out(data, options.holdout, seed)
        return cls(train, held, open_metric(name, outputs), model, options)

    def score(self, values: Mapping[str, ort.OrtValue]) -> float:
        """Score weights."""
        if self.trial is None:
            options = self.options
            self.trial = Trial(
                self.model, list(values), threads=options.threads, provider=options.provider
            )
        return evaluate(self.trial.with_values(values), self.data, self.metric).value

    def is_better(self, score: float, than: float) -> bool:
        """Say whether a score is better than another; any is better than NaN."""
        if isnan(than):
            return not isnan(score)
        return score > than if self.metric.higher_is_better else score < than


def _usual(data: Data, outputs: int) -> str:
    if outputs == 1 and has_class_labels(data):
        return "top-1"
    if data.labelled:
        return "mse"
    raise UsageError(
        "holdout needs a metric, and the data has no labels; give labels and holdout-metric=…"
    )
