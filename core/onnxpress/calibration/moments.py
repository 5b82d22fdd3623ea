"""Mean and variance of every channel of a tensor, over all data, in bounded memory.

Each batch is reduced inside the graph, around its own mean; batches are joined in double
precision by Chan, Golub and LeVeque's formula (1979), so that the result does not depend on
how the data is cut into batches, and a short last batch weighs what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxpress.calibration.reductions import NOTHING, Reduced, reduce_channels
from onnxpress.errors import DataError
from onnxpress.graph.types import UNKNOWN

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Data
    from onnxpress.graph.model import Model
    from onnxpress.job import Job

Vector: TypeAlias = npt.NDArray[np.float64]


@dataclass(slots=True)
class Moments:
    """Count, mean and sum of squared deviations of every channel, of all batches so far.

    Attributes:
        count: Over how many elements of each channel.
        mean: The mean of every channel.
        squares: The sum of the squared distances from it.
        batches: How many batches there were.
    """

    count: int = 0
    mean: Vector = field(default_factory=lambda: np.zeros(1))
    squares: Vector = field(default_factory=lambda: np.zeros(1))
    batches: int = 0

    def add(self, count: int, mean: Array, variance: Array) -> None:
        """Join a batch, of which the variance is divided by its `count`."""
        if count == 0:
            return
        total = self.count + count
        step = np.asarray(mean, np.float64) - self.mean
        between = step**2 * (self.count * count / total)
        self.squares = self.squares + np.asarray(variance, np.float64) * count + between
        self.mean = self.mean + step * (count / total)
        self.count, self.batches = total, self.batches + 1

    def only(self, kept: npt.NDArray[np.bool_] | None) -> Moments:
        """Return those of some channels; None takes all."""
        flags = slice(None) if kept is None else kept
        return Moments(self.count, self.mean[flags], self.squares[flags], self.batches)

    @property
    def variance(self) -> Vector:
        """The variance of the population: divided by the count."""
        return self.squares / max(self.count, 1)


def measure_moments(
    model: Model, tensors: Mapping[str, int], data: Data, job: Job, label: str = "calibrating"
) -> dict[str, Moments]:
    """Return the moments of tensors over the data, in one pass.

    Args:
        model: The model; only what the tensors depend on is run.
        tensors: Names of floating-point tensors of the main graph, and the axis of each
            that counts channels.
        data: What to feed.
        job: Told of progress.
        label: What progress is called.

    Raises:
        ModelError: If an axis other than 0, 1 and -1 is asked of a tensor of unknown rank.
        DataError: If there is no data, or a tensor holds NaN or infinite values.
    """
    if not tensors:
        return {}
    edit = model.edit()
    edit.graph.outputs.clear()
    reductions = {
        name: reduce_channels(edit, edit.values[name], axis, model.types.get(name, UNKNOWN))
        for name, axis in tensors.items()
    }
    return run_reductions(edit.done(), reductions, data, job, label)


def output_means(
    model: Model, data: Data, tensors: Mapping[str, int], job: Job
) -> dict[str, Vector]:
    """Return the mean of every channel of tensors over the data; see `measure_moments`."""
    return {n: found.mean for n, found in measure_moments(model, tensors, data, job).items()}


def run_reductions(
    model: Model, reductions: Mapping[str, Reduced], data: Data, job: Job, label: str
) -> dict[str, Moments]:
    """Run a model that computes reductions, and join what every batch gives.

    Args:
        model: A model of which the reductions are outputs.
        reductions: By what they are called in the result.
        data: What to feed.
        job: Told of progress.
        label: What progress is called.
    """
    from onnxpress.session import Session

    session = Session(model)
    found = {name: Moments() for name in reductions}
    for index, batch in enumerate(job.track(data, label)):
        results = session.run(batch.feeds)
        for name, reduced in reductions.items():
            found[name].add(*read_batch(reduced, results, f"{name!r}, batch {index + 1}"))
    if not any(moments.count for moments in found.values()):
        raise DataError(f"there is nothing to calibrate on: {data.name} holds no samples")
    return found


class BatchMoments(NamedTuple):
    """What `Moments.add` takes: how many elements a channel has in a batch, and what of them."""

    elements: int
    mean: Array
    variance: Array

    def only(self, kept: npt.NDArray[np.bool_] | None) -> BatchMoments:
        """Return those of some channels; None takes all."""
        if kept is None:
            return self
        return BatchMoments(self.elements, self.mean[kept], self.variance[kept])


def read_batch(reduced: Reduced, results: Mapping[str, Array], where: str) -> BatchMoments:
    """Return what a run gave.

    Raises:
        DataError: If a mean or a variance is no finite number.
    """
    outputs = reduced.size, reduced.mean, reduced.variance
    size, mean, variance = (results[value.name or ""] for value in outputs)
    if size and not (np.isfinite(mean).all() and np.isfinite(variance).all()):
        raise DataError(
            f"{where} of the calibration data: the tensor holds NaN, or values whose squares do "
            "not fit into float32; leave that batch out"
        )
    return BatchMoments(int(size) // max(mean.size, 1), mean, variance)


def comparable(first: Vector, second: Vector) -> npt.NDArray[np.bool_]:
    """Say for which channels neither variance is next to nothing beside the other."""
    return np.asarray((first > NOTHING * second) & (second > NOTHING * first))
