"""Metrics of the user's own: a function, or a class with `update` and `value`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

from onnxpress.data.batch import Array, Batch
from onnxpress.errors import OnnxpressError
from onnxpress.metrics.metric import Meter, Metric, Needs


@dataclass(frozen=True)
class Custom(Metric):
    """A metric made of a callable.

    A function ``f(outputs, labels) -> float`` is called for every batch, and its values
    are averaged, weighted by the number of samples.  Where that average is not what is
    wanted (F1, word error rate), a class does its own: it is called without arguments
    once, then its ``update(outputs, labels)`` for every batch, its ``value()`` at the end.

    An attribute ``higher_is_better = False`` on the function or class says that small
    values are good.

    Attributes:
        function: The function or class.
        name: What the report calls it.
        higher_is_better: Whether a larger value is a better model.
    """

    function: Callable[..., Any]
    name: str
    higher_is_better: bool = True
    needs: Needs = "nothing"

    @classmethod
    def of(cls, function: Callable[..., Any], name: str | None = None) -> Custom:
        """Make a metric of a callable, called as it is."""
        own = getattr(function, "__name__", type(function).__name__)
        return cls(function, name or own, bool(getattr(function, "higher_is_better", True)))

    def start(self) -> Meter:
        if isinstance(self.function, type):
            return _ClassMeter(self.name, _call(self.name, "when it was made", self.function))
        return _MeanMeter(self)

    def score(self, outputs: Mapping[str, Array], labels: Array | None, where: str) -> float:
        """Call the function on one batch.

        Raises:
            OnnxpressError: If it raises, or returns no number.
        """
        return _number(_call(self.name, where, self.function, outputs, labels), self.name, where)


class _MeanMeter(Meter):
    def __init__(self, metric: Custom) -> None:
        self._metric = metric
        self._total = 0.0
        self._samples = self._batches = 0

    def update(
        self, outputs: Mapping[str, Array], batch: Batch, reference: Mapping[str, Array] | None
    ) -> None:
        score = self._metric.score(outputs, batch.labels, f"in batch {self._batches}")
        self._total += score * batch.size
        self._samples += batch.size
        self._batches += 1

    def value(self) -> float:
        return self._total / self._samples if self._samples else nan


class _ClassMeter(Meter):
    def __init__(self, name: str, counter: Any) -> None:
        self._name = name
        self._counter = counter
        self._batches = 0

    def update(
        self, outputs: Mapping[str, Array], batch: Batch, reference: Mapping[str, Array] | None
    ) -> None:
        where = f"in batch {self._batches}"
        _call(self._name, where, self._counter.update, outputs, batch.labels)
        self._batches += 1

    def value(self) -> float:
        if not self._batches:
            return nan
        where = "at the end"
        return _number(_call(self._name, where, self._counter.value), self._name, where)


def _call(name: str, where: str, function: Callable[..., Any], *arguments: object) -> Any:
    """Call what a user wrote; what it raises becomes an error that names it."""
    try:
        return function(*arguments)
    except OnnxpressError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise OnnxpressError(f"metric {name} failed {where}: {kind}: {error}") from error


def _number(value: Any, name: str, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise OnnxpressError(
            f"metric {name} returned {type(value).__name__} {where}, not a number"
        ) from error
    if isnan(number):
        raise OnnxpressError(f"metric {name} returned NaN {where}")
    return number
