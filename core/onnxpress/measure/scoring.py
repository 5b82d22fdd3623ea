"""What the models answer on data: their accuracy, and how far they are from the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from onnxpress.errors import ModelError
from onnxpress.events import Event, Progress
from onnxpress.measure.difference import Difference

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Batch, Data
    from onnxpress.measure.contender import Contender
    from onnxpress.metrics import Meter, Metric


@dataclass
class Score:
    """What one contender's outputs came to; the metric is None where there is nothing to score."""

    metric: Metric | None
    meter: Meter | None
    difference: Difference = field(default_factory=Difference)

    def accuracy(self) -> dict[str, Any] | None:
        """Return ``name`` and ``value`` of the metric, JSON-ready."""
        if self.metric is None or self.meter is None:
            return None
        return {"name": self.metric.name, "value": self.meter.value()}


def score(
    contenders: Sequence[Contender],
    data: Data,
    metric: Metric | None,
    outputs: Sequence[str],
    notify: Callable[[Event], None],
) -> list[Score]:
    """Run all contenders on the data, batch by batch, each in its own process.

    One batch is in memory at a time.  Each is compared with the first on its runtime.

    Args:
        contenders: Who takes part; one that can't run the data drops out.
        data: What to run.
        metric: How to score, if labels or outputs can be scored.
        outputs: The names of the outputs that the metric was opened for.
        notify: Told how far it is.
    """
    scores = [Score(metric, metric.start() if metric else None) for _ in contenders]
    done = 0
    for batch in data:
        firsts: dict[str, Mapping[str, Array] | None] = {}
        for one, its in zip(contenders, scores, strict=True):
            one.attempt(partial(_score_batch, one, its, batch, outputs, firsts))
            firsts.setdefault(one.case.runtime, None)  # the first there is, and it failed
        done += batch.size
        notify(Progress("running on data", done, data.samples))
    return scores


def _score_batch(
    one: Contender,
    its: Score,
    batch: Batch,
    names: Sequence[str],
    firsts: dict[str, Mapping[str, Array] | None],
) -> None:
    outputs = one.run(batch.feeds)
    if missing := [name for name in names if name not in outputs]:
        has = ", ".join(map(repr, outputs))
        raise ModelError(f"it has no output {missing[0]!r} as the first model has, but {has}")
    reference = firsts.setdefault(one.case.runtime, outputs)
    if reference is not None:
        its.difference.update(outputs, reference)
    if its.meter is not None:
        its.meter.update(outputs, batch, reference)
