"""`open_metric`: from a name or a callable to a metric."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from onnxpress.data.batch import Data
from onnxpress.data.callables import import_callable
from onnxpress.errors import OptionError, UnknownNameError, UsageError
from onnxpress.metrics.custom import Custom
from onnxpress.metrics.difference import Difference, cosine_similarity, squared_error
from onnxpress.metrics.metric import Metric
from onnxpress.metrics.top import TopK

_TOP: Final = re.compile(r"top-([1-9]\d*)")
_DIFFERENCES: Final = {
    "mse": partial(Difference, "mse", squared_error, higher_is_better=False),
    "cosine": partial(Difference, "cosine", cosine_similarity, higher_is_better=True),
}
_KNOWN: Final = ("top-1", "top-5", *_DIFFERENCES)


def open_metric(metric: str | Callable[..., Any] | Metric, outputs: Sequence[str]) -> Metric:
    """Return the metric of that name.

    Args:
        metric: ``top-1``, ``top-5`` (any ``top-K``), ``mse`` or ``cosine``, each with
            ``:output=name`` where only one output counts; ``package.module:callable``;
            or a callable itself (see `Custom`).
        outputs: The names of the model's outputs.

    Raises:
        UnknownNameError: If there is no such metric or output; names the nearest.
        UsageError: If the metric needs one output and the model has several.
    """
    if isinstance(metric, Metric):
        return metric
    if not isinstance(metric, str):
        if not callable(metric):
            raise UsageError(f"a metric is a name or a callable, not {type(metric).__name__}")
        return Custom.of(metric)
    name, colon, rest = metric.partition(":")
    if (top := _TOP.fullmatch(name)) is not None:
        return TopK(int(top[1]), tuple(outputs), _output(metric, rest if colon else None))
    if name in _DIFFERENCES:
        output = _output(metric, rest if colon else None)
        return _DIFFERENCES[name](outputs=tuple(outputs), output=output)
    if colon and "=" not in rest:
        return Custom.of(import_callable(metric), metric)
    raise UnknownNameError(
        "metric", name, _KNOWN, ["your own: package.module:callable, or in Python any callable"]
    )


def _output(metric: str, rest: str | None) -> str | None:
    if rest is None:
        return None
    key, _, output = rest.partition("=")
    if key != "output" or not output:
        raise OptionError(f"{metric}: expected :output=name after the name of the metric")
    return output


def has_class_labels(data: Data) -> bool:
    """Say whether the labels of `data` are class indices, which ``top-1`` can score."""
    labels = next(iter(data)).labels if data.labelled else None
    return labels is not None and labels.dtype.kind in "iu"
