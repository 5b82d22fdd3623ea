"""Metrics that compare outputs with arrays: labels, or what the original model gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import NamedTuple, TypeAlias

import numpy as np

from onnxpress.data.batch import Array, Batch
from onnxpress.data.signature import is_float
from onnxpress.errors import ModelError, UsageError
from onnxpress.metrics.metric import Meter, Metric, Needs
from onnxpress.metrics.outputs import check_output, float_outputs, refuse_nan


class Sum(NamedTuple):
    """A sum, and the number of terms in it."""

    total: float
    terms: int


Compare: TypeAlias = Callable[[Sequence[Array], Sequence[Array], int], Sum]


@dataclass(frozen=True)
class Difference(Metric):
    """A mean over what comparing outputs with wanted arrays gives.

    Wanted are the labels if they are floats of the output's shape, and the outputs of
    the original model otherwise.  All float outputs count together, unless one is named.

    Attributes:
        name: What the report calls it.
        compare: From outputs, wanted arrays and the number of samples to a sum of terms.
        outputs: The names of the model's outputs.
        output: The only output to look at.
    """

    name: str
    compare: Compare
    higher_is_better: bool
    outputs: Sequence[str]
    output: str | None = None
    needs: Needs = "either"

    def __post_init__(self) -> None:
        check_output(self.output, self.outputs)

    def start(self) -> Meter:
        return _DifferenceMeter(self)


def squared_error(outputs: Sequence[Array], wanted: Sequence[Array], _samples: int) -> Sum:
    """Return the sum of squared differences of all elements, in double precision."""
    total = sum(
        float(np.square(a.astype(np.float64) - b.astype(np.float64)).sum())
        for a, b in zip(outputs, wanted, strict=True)
    )
    return Sum(total, sum(a.size for a in outputs))


def cosine_similarity(outputs: Sequence[Array], wanted: Sequence[Array], samples: int) -> Sum:
    """Return the sum over samples of the cosine between output and wanted values.

    The values of one sample, over all outputs, are one vector.  Two zero vectors count
    as alike (1), a zero vector and another as not alike (0).
    """
    a, b = _vectors(outputs, samples), _vectors(wanted, samples)
    dots = np.einsum("ij,ij->i", a, b)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    cosines = np.where(norms > 0, dots / np.where(norms > 0, norms, 1), both_zero)
    # Rounding may have taken them a little beyond 1.
    return Sum(float(np.clip(cosines, -1, 1).sum()), samples)


def _vectors(arrays: Sequence[Array], samples: int) -> Array:
    return np.concatenate([a.astype(np.float64).reshape(samples, -1) for a in arrays], axis=1)


class _DifferenceMeter(Meter):
    def __init__(self, metric: Difference) -> None:
        self._metric = metric
        self._total = 0.0
        self._count = self._batches = 0

    def update(
        self, outputs: Mapping[str, Array], batch: Batch, reference: Mapping[str, Array] | None
    ) -> None:
        where = f"batch {self._batches}"
        found = float_outputs(outputs, self._metric.output)
        if not found:
            raise UsageError(f"{self._metric.name} compares float outputs, and there are none")
        for name, array in found.items():
            refuse_nan(name, array, where)
        wanted = self._wanted(found, batch, reference, where)
        with np.errstate(all="ignore"):  # what is not finite is found out below
            part = self._metric.compare(list(found.values()), wanted, _samples(found, batch))
        if not isfinite(part.total):
            raise ModelError(
                f"{self._metric.name} is {part.total} in {where}: outputs {', '.join(found)}, or "
                "what they are compared with, hold infinite values or NaN"
            )
        self._total += part.total
        self._count += part.terms
        self._batches += 1

    def value(self) -> float:
        return self._total / self._count if self._count else nan

    def _wanted(
        self,
        found: Mapping[str, Array],
        batch: Batch,
        reference: Mapping[str, Array] | None,
        where: str,
    ) -> list[Array]:
        labels = batch.labels
        if labels is not None and is_float(labels.dtype) and _shapes(found) == [labels.shape]:
            return [labels]
        if reference is None:
            raise UsageError(self._nothing_to_compare_with(found, labels, where))
        for name, array in found.items():
            if reference[name].shape != array.shape:
                raise ModelError(
                    f"output {name!r} has shape {array.shape} in {where}, and the original model "
                    f"gives {reference[name].shape}"
                )
        return [reference[name] for name in found]

    def _nothing_to_compare_with(
        self, found: Mapping[str, Array], labels: Array | None, where: str
    ) -> str:
        shapes = ", ".join(f"{name!r} {array.shape}" for name, array in found.items())
        have = "no labels" if labels is None else f"labels {labels.dtype} {labels.shape}"
        return (
            f"{self._metric.name} compares with the outputs of an original model, or with float "
            f"labels of the output's shape; {where} has {have}, and outputs {shapes}"
        )


def _shapes(arrays: Mapping[str, Array]) -> list[tuple[int, ...]]:
    return [array.shape for array in arrays.values()]


def _samples(found: Mapping[str, Array], batch: Batch) -> int:
    """Return over how many samples all outputs can be divided: the batch, or one whole run."""
    size = batch.size
    return size if all(a.ndim and a.shape[0] == size for a in found.values()) else 1
