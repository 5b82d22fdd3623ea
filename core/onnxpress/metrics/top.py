"""Top-K: the share of samples whose right class is among the K with the highest scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan, prod

import numpy as np

from onnxpress.data.batch import Array, Batch
from onnxpress.errors import DataError, UsageError
from onnxpress.metrics.metric import Meter, Metric, Needs
from onnxpress.metrics.outputs import check_output, refuse_nan


class TopK(Metric):
    """The share of samples (0 to 1) whose class is among the `k` highest scores.

    Of equal scores the one of the lower class index counts as the higher, so that top-1
    is ``numpy.argmax``.  Labels are class indices, or one-hot rows.

    Args:
        k: How many guesses count.
        outputs: The names of the model's outputs.
        output: Which of them holds scores, ``(samples, classes)``, further axes being 1;
            None takes the only one.

    Raises:
        UnknownNameError: If there is no such output.
        UsageError: If none is named, and the model has several.
    """

    higher_is_better = True
    needs: Needs = "labels"

    def __init__(self, k: int, outputs: Sequence[str], output: str | None = None) -> None:
        self.name = f"top-{k}"
        self.k = k
        check_output(output, outputs)
        if output is None and len(outputs) != 1:
            raise UsageError(
                f"the model has {len(outputs)} outputs ({', '.join(outputs)}); say which holds the "
                f"class scores, as in {self.name}:output={next(iter(outputs), '…')}"
            )
        self.output = output or outputs[0]

    def start(self) -> Meter:
        return _TopMeter(self)


class _TopMeter(Meter):
    def __init__(self, metric: TopK) -> None:
        self._name, self._k, self._output = metric.name, metric.k, metric.output
        self._right = self._seen = self._batches = 0

    def update(
        self, outputs: Mapping[str, Array], batch: Batch, reference: Mapping[str, Array] | None
    ) -> None:
        where = f"batch {self._batches}"
        scores = self._scores(outputs[self._output], where)
        if batch.labels is None:
            raise UsageError(f"{self._name} needs labels, and {where} has none")
        labels = class_indices(batch.labels, len(scores), scores.shape[1], where)
        self._right += int(np.count_nonzero(_rank(scores, labels) < self._k))
        self._seen += len(labels)
        self._batches += 1

    def value(self) -> float:
        return self._right / self._seen if self._seen else nan

    def _scores(self, output: Array, where: str) -> Array:
        shape = np.shape(output)
        if len(shape) < 2 or prod(shape[2:]) != 1:  # noqa: PLR2004
            raise UsageError(
                f"{self._name} needs class scores (samples, classes), and output {self._output!r} "
                f"has shape {shape}"
            )
        if self._k >= shape[1]:
            raise UsageError(f"{self._name} of {shape[1]} classes is always 1; choose a smaller K")
        refuse_nan(self._output, output, where)
        return output.reshape(shape[:2])


def _rank(scores: Array, labels: Array) -> Array:
    """Return how many classes come before the right one: higher ones, and equal ones before it."""
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    before = np.arange(scores.shape[1]) < labels[:, None]
    ranks: Array = np.count_nonzero((scores > own) | ((scores == own) & before), axis=1)
    return ranks


def class_indices(labels: Array, samples: int, classes: int, where: str) -> Array:
    """Return labels as class indices: int64 ``(samples,)``, each below `classes`.

    Args:
        labels: Whole numbers ``(samples,)`` or ``(samples, 1)``, or one-hot rows
            ``(samples, classes)``.
        samples: How many samples there are.
        classes: How many classes the model tells apart.
        where: Which batch this is, for errors.

    Raises:
        DataError: If they are anything else; names the first wrong one.
    """
    if labels.shape == (samples, classes) and classes > 1:
        labels = _from_one_hot(labels, where)
    labels = labels.reshape(-1) if labels.shape[1:] == (1,) else labels
    if labels.shape != (samples,):
        raise DataError(
            f"labels of {where} have shape {labels.shape} for {samples} samples; give one class "
            "index for each sample"
        )
    numbers = labels.astype(np.float64)
    wrong = (numbers != np.floor(numbers)) | (numbers < 0) | (numbers >= classes)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise DataError(
            f"label {labels[at]} of sample {at} in {where} is no class index; the model has "
            f"{classes} classes, 0 to {classes - 1}"
        )
    return labels.astype(np.int64)


def _from_one_hot(labels: Array, where: str) -> Array:
    ones = labels == 1
    if not ((labels == 0) | ones).all() or (ones.sum(axis=1) != 1).any():
        raise DataError(
            f"labels of {where} have shape {labels.shape}, but are not one-hot: every row needs "
            "one 1 and zeros else; or give class indices"
        )
    indices: Array = ones.argmax(axis=1)
    return indices
