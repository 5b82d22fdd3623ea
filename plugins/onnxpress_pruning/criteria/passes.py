"""Passes over the data of a job that give gradients of the loss: of batches, or of each sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from onnxpress.errors import DataError, UsageError
from onnxpress.graph.constants import FLOATS, type_name
from onnxpress_pruning.criteria.slices import ranked_weights

if TYPE_CHECKING:
    from onnxpress.channels import Group
    from onnxpress.contract import Objective
    from onnxpress.data.batch import Array, Batch, Data, Feeds
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight
    from onnxpress.job import Job
    from onnxpress.training.loss import Loss
    from onnxpress_pruning.criteria.criterion import Subject


class Pass(NamedTuple):
    """What one run gave.

    Attributes:
        size: The number of samples that went in.
        arrays: What was asked for, by name.
    """

    size: int
    arrays: Mapping[str, Array]


@dataclass(frozen=True)
class Slope:
    """The loss of a model on the data of a job, to be differentiated.

    Normalisation is in inference form: by running statistics.

    Attributes:
        criterion: Who asks, for errors.
        loss: The loss as a graph.
        objectives: What is summed in it.
        data: What is fed.
        job: Its rules, and whom to tell of progress.
    """

    criterion: str
    loss: Loss
    objectives: tuple[Objective, ...]
    data: Data
    job: Job

    def gradient(self, names: Sequence[str]) -> Model:
        """Return the loss with its gradients as further outputs; see `gradient_name`."""
        from onnxpress.autodiff import gradient
        from onnxpress.training.loss import LOSS

        return gradient(self.loss.model, LOSS, names, rules=self.job.rules)

    def gradients(
        self, names: Sequence[str], *, single: bool = False, model: Model | None = None
    ) -> Iterator[Pass]:
        """Yield the gradients of the loss of each batch, by the names of the tensors.

        Args:
            names: Stored tensors, or tensors that the model computes.
            single: Whether to go through the samples one by one instead.
            model: What `gradient` gave for them, if that is there already.

        Raises:
            UsageError: If the model can't take single samples.
            DataError: If a gradient is not finite.
        """
        from onnxpress.autodiff import gradient_name

        of = {gradient_name(name): name for name in names}
        graph = self.gradient(names) if model is None else model
        for size, arrays in self.run(graph, list(of), single=single):
            yield Pass(size, {of[name]: array for name, array in arrays.items()})

    def run(
        self,
        model: Model,
        outputs: Sequence[str],
        *,
        single: bool = False,
        given: Feeds | None = None,
    ) -> Iterator[Pass]:
        """Run a graph made from the loss over the data.

        Args:
            model: The graph.
            outputs: What to return.
            single: Whether to run it for each sample by itself, several at a time.
            given: What to feed besides, the same every time.

        Raises:
            UsageError: If the model can't take single samples.
            DataError: If a result is not finite.
        """
        from onnxpress.calibration.parallel import cores, in_order
        from onnxpress.session import Session

        workers = cores() if single else 1
        session = Session(model, outputs=outputs, threads=1 if single else 0)

        def work(item: tuple[str, Batch]) -> Pass:
            where, batch = item
            feeds = {**self.loss.feeds(batch, where), **(given or {})}
            results = session.run(feeds, outputs)
            self._check(results, feeds, model, where)
            return Pass(batch.size, results)

        yield from in_order(work, self.batches(single=single), workers)

    def batches(self, *, single: bool = False) -> Iterator[tuple[str, Batch]]:
        """Yield every batch, or every sample, and where in the data it is."""
        if single:
            _check_single(self.loss.model, self.criterion)
        for index, batch in enumerate(self.job.track(self.data, self.criterion), 1):
            where = f"batch {index}"
            if not single:
                yield where, batch
                continue
            for i in range(batch.size):
                yield f"sample {i + 1} of {where}", _sample(batch, i)

    def _check(self, results: Feeds, feeds: Feeds, model: Model, where: str) -> None:
        from onnxpress.training.diagnosis import first_not_finite, not_finite_among

        for name, array in results.items():
            if not_finite_among({name: array}):
                source = first_not_finite(model, feeds, name)
                raise DataError(
                    f"{self.criterion}: {name!r} is not finite on {where} of {self.data.name}; the "
                    f"first tensor that went wrong is {source}"
                )


def open_slope(subject: Subject, criterion: str, penalized: Sequence[str] = ()) -> Slope:
    """Return the loss that a criterion differentiates.

    Args:
        subject: The model, its data, and the objectives that are meant.
        criterion: The name of the criterion, for errors.
        penalized: Names of the stored tensors that penalties look at.

    Raises:
        UsageError: If there is no data, or it has no labels where the loss needs some, or no
            loss fits the model.
    """
    from onnxpress.training.goals import open_objectives
    from onnxpress.training.loss import build_loss

    job = subject.job
    data = job.require_data(f"criterion={criterion}")
    if not data.labelled and not subject.objective:
        raise UsageError(
            f"criterion={criterion} needs labels, and {data.name} has none: name the array with "
            "labels=… in --data, or choose a criterion that needs none, such as l1 or synflow"
        )
    objectives = open_objectives(subject.objective, subject.model, data, job.plugins)
    first = next(iter(data), None)
    if first is None:
        raise DataError(f"criterion={criterion}: {data.name} holds no samples")
    loss = build_loss(subject.model, objectives, first.labels, penalized, job.rules)
    return Slope(criterion, loss, objectives, data, job)


def open_targets(subject: Subject, criterion: str) -> tuple[Slope, dict[str, Weight]]:
    """Return the loss, and the targets by name, after making sure that it depends on each.

    Raises:
        UsageError: As `open_slope`; or if a target is not stored as floats in the graph
            itself, or the loss does not depend on it.
    """
    weights = {weight.name: weight for weight in subject.targets}
    check_stored(subject, criterion)
    slope = open_slope(subject, criterion, list(weights))
    check_reached(subject, criterion, slope.loss.unreached(list(weights), subject.job.rules))
    return slope, weights


def for_groups(subject: Subject, groups: Sequence[Group]) -> Subject:
    """Return the subject with what counts for channel groups as targets; see `ranked_weights`."""
    ranked = ranked_weights(subject.model)
    names = dict.fromkeys(m.tensor for group in groups for m in group.members)
    return replace(subject, targets=tuple(ranked[name] for name in names if name in ranked))


def check_stored(subject: Subject, criterion: str) -> None:
    """Make sure that all targets are stored as floats in the main graph.

    Raises:
        UsageError: If one is not; names its layer and says what to do.
    """
    from onnxpress.training.targets import inside_functions

    inner = {*inside_functions(subject.model)}
    for weight in subject.targets:
        where = f"criterion={criterion}: {weight.name!r} of {_layer(subject, weight.name)}"
        if weight.dtype not in FLOATS:
            raise UsageError(
                f"{where} is stored as {type_name(weight.dtype)}, which has no gradient; prune "
                "before quantizing, or leave the layer out with exclude=…"
            )
        if weight.name in inner:
            raise UsageError(
                f"{where} is stored inside a function of the model; leave it out with exclude=…"
            )


def check_reached(subject: Subject, criterion: str, unreached: Sequence[str]) -> None:
    """Make sure that nothing is unreached.

    Raises:
        UsageError: With the names of the layers.
    """
    if not unreached:
        return
    layers = dict.fromkeys(_layer(subject, name) for name in unreached)
    raise UsageError(
        f"criterion={criterion}: what is differentiated does not depend on {', '.join(layers)} "
        f"({', '.join(unreached)}); leave that out with exclude=…, or choose an objective that "
        "depends on it"
    )


def _layer(subject: Subject, name: str) -> str:
    """Return the name of the first layer that reads a stored tensor."""
    found = (x.name for x in subject.model.layers if any(w.name == name for w in x.tensors))
    return repr(next(found, name))


def _check_single(model: Model, criterion: str) -> None:
    for value in model.inputs:
        size = value.shape[0] if value.shape is not None and len(value.shape) else None
        if isinstance(size, int) and size > 1:
            raise UsageError(
                f"criterion={criterion} takes the gradient of each sample by itself, and the input "
                f"{value.name!r} takes {size} samples at once; make its first axis symbolic, or "
                "choose another criterion, such as snip or taylor"
            )


def _sample(batch: Batch, index: int) -> Batch:
    """Return one sample of a batch, as a batch."""
    size = batch.size

    def part(array: Array) -> Array:
        return array[index : index + 1] if array.ndim and len(array) == size else array

    labels = None if batch.labels is None else part(np.asarray(batch.labels))
    return type(batch)({name: part(array) for name, array in batch.feeds.items()}, labels)
