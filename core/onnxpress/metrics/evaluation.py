"""`evaluate`: one number for a model on data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from onnxpress.data.batch import Array, Data, Feeds
from onnxpress.errors import DataError, UsageError
from onnxpress.metrics.metric import Metric


class Score(NamedTuple):
    """What a metric said.

    Attributes:
        name: The metric's name.
        value: Its value; shares are fractions, 0.9173 rather than 91.73.
        samples: Over how many samples.
    """

    name: str
    value: float
    samples: int


def evaluate(
    run: Callable[[Feeds], Mapping[str, Array]],
    data: Data,
    metric: Metric,
    reference: Callable[[Feeds], Mapping[str, Array]] | None = None,
) -> Score:
    """Run a model over data and score its outputs.

    Args:
        run: The model: from arrays by input name to arrays by output name.
        data: What to feed it.
        metric: How to score what it gives.
        reference: The original model; run only for a metric that can use it.

    Raises:
        UsageError: If the metric needs labels or a reference, and there are none.
        ModelError: If an output holds NaN.
        DataError: If the data can't be used, or its labels do not fit the outputs.
    """
    _check_needs(data, metric, has_reference=reference is not None)
    original = reference if metric.needs in {"reference", "either"} else None
    meter = metric.start()
    samples = 0
    for batch in data:
        wanted = None if original is None else original(batch.feeds)
        meter.update(run(batch.feeds), batch, wanted)
        samples += batch.size
    if not samples:
        raise DataError(f"{data.name} has no batches to score")
    return Score(metric.name, meter.value(), samples)


def _check_needs(data: Data, metric: Metric, *, has_reference: bool) -> None:
    if metric.needs == "labels" and not data.labelled:
        raise UsageError(
            f"{metric.name} needs labels; {data.name} has none: name the array with labels=…, or "
            "choose mse or cosine, which compare with the original model"
        )
    if metric.needs == "reference" and not has_reference:
        raise UsageError(f"{metric.name} needs the original model to compare with")
    if metric.needs == "either" and not (has_reference or data.labelled):
        raise UsageError(
            f"{metric.name} needs labels, or the original model to compare with; there is neither"
        )
