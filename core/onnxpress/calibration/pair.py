"""Two models side by side: tensors of the one get the means that they have in the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from onnxpress.calibration.batch_norm import BATCH_NORM, Statistics, stored_statistics
from onnxpress.calibration.moments import Moments, Vector, comparable, read_batch
from onnxpress.calibration.reductions import (
    Reduced,
    precision,
    reduce_channels,
    spread_factor,
    with_moments,
)
from onnxpress.errors import DataError
from onnxpress.graph.types import UNKNOWN, TensorType

if TYPE_CHECKING:
    from onnxpress.calibration.kept import Flags
    from onnxpress.data.batch import Data
    from onnxpress.graph.edit import Editor
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model
    from onnxpress.job import Job

_ROUNDING: Final = 1e-5  # of a tensor's size; a smaller shift is none


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """A tensor of both models that is to have the mean that it had.

    Attributes:
        name: The layer that gives it, or the batch normalisation that reads it.
        before: The tensor of the original.
        after: The tensor of the pruned model.
        axis: The axis of both that counts channels.
        kept: Which channels of the original the pruned model has; None for all.
        norm: The normalisation as it is stored, if it is that which reads the tensor; it
            alone does so as it was, its variance included.
    """

    name: str
    before: str
    after: str
    axis: int
    kept: Flags | None
    norm: Layer | None = None


class Pair:
    """Both models side by side: tensors of the pruned one get the means of the original.

    Attributes:
        before: What the targets hold in the original, by layer; only the channels that are left.
        after: What they hold in the pruned model, before they are moved.
    """

    def __init__(self, original: Model, pruned: Model, targets: list[Target]) -> None:
        self._targets = targets
        self._original, self._wanted = _watched(original, targets)
        self._pruned, self._found, self._inputs = _corrected(pruned, targets)
        self.before = {target.name: Moments() for target in targets}
        self.after = {target.name: Moments() for target in targets}

    def run(self, data: Data, job: Job) -> None:
        """Go through the data.

        Raises:
            DataError: If there is none, or a tensor holds NaN or infinite values.
        """
        from onnxpress.session import Session

        original, pruned = Session(self._original), Session(self._pruned)
        samples = 0
        for index, batch in enumerate(job.track(data, "compensating")):
            results = original.run(batch.feeds)
            feeds = dict(batch.feeds)
            for t in self._targets:
                where = f"{t.before!r}, batch {index + 1}"
                seen = read_batch(self._wanted[t.name], results, where).only(t.kept)
                self.before[t.name].add(*seen)
                feeds.update(zip(self._inputs[t.name], seen[1:], strict=False))
            results = pruned.run(feeds)
            for t in self._targets:
                where = f"{t.after!r}, batch {index + 1}"
                self.after[t.name].add(*read_batch(self._found[t.name], results, where))
            samples += batch.size
        if not samples:
            raise DataError(f"there is nothing to calibrate on: {data.name} holds no samples")

    def shifts(self) -> dict[str, Vector]:
        """Return what is to be added to the outputs of layers; nothing where that is rounding."""
        found: dict[str, Vector] = {}
        for t in (t for t in self._targets if t.norm is None):
            before, after = self.before[t.name], self.after[t.name]
            delta = before.mean - after.mean
            size = float(np.sqrt(before.variance + before.mean**2).max(initial=0))
            if abs(delta).max(initial=0) > _ROUNDING * size:
                found[t.name] = delta
        return found

    def statistics(self) -> dict[str, Statistics]:
        """Return the new running statistics of normalisations."""
        return {
            t.name: moved_statistics(t.norm, self.before[t.name], self.after[t.name])
            for t in self._targets
            if t.norm is not None
        }


def moved_statistics(norm: Layer, before: Moments, after: Moments) -> Statistics:
    """Return the statistics with which a normalisation gives what it gave."""
    stored, epsilon = stored_statistics(norm), norm.node.attributes.get_float("epsilon", 1e-5)
    fits = comparable(before.variance, after.variance)
    ratio = np.divide(after.variance, before.variance, out=np.ones(fits.size), where=fits)
    mean = after.mean - (before.mean - stored.mean) * np.sqrt(ratio)
    variance = np.maximum((stored.variance + epsilon) * ratio - epsilon, 0)
    return Statistics(mean, variance, after.count)


def _watched(model: Model, targets: list[Target]) -> tuple[Model, dict[str, Reduced]]:
    edit = model.edit()
    edit.graph.outputs.clear()
    reduced = {
        t.name: reduce_channels(
            edit, edit.values[t.before], t.axis, model.types.get(t.before, UNKNOWN)
        )
        for t in targets
    }
    return edit.done(), reduced


def _corrected(
    model: Model, targets: list[Target]
) -> tuple[Model, dict[str, Reduced], dict[str, tuple[str, ...]]]:
    """Return the model that moves tensors, what it measures, and the inputs it is told by."""
    edit = model.edit()
    edit.graph.outputs.clear()
    norms = {layer.name: layer.node for layer in edit.layers if layer.op_type == BATCH_NORM}
    found: dict[str, Reduced] = {}
    inputs: dict[str, tuple[str, ...]] = {}
    for t in targets:
        found[t.name], inputs[t.name] = _move(edit, t, norms.get(t.name), model)
    edit.graph.sort()
    return edit.done(), found, inputs


def _move(
    edit: Editor, target: Target, norm: ir.Node | None, model: Model
) -> tuple[Reduced, tuple[str, ...]]:
    """Let a tensor have the mean that comes as an input, and what reads it read that.

    A normalisation alone reads its input with another variance as well.
    """
    tensor, known = edit.values[target.after], model.types.get(target.after, UNKNOWN)
    users = list(tensor.uses()) if target.norm is None or norm is None else [(norm, 0)]
    told = [_input(edit, f"{target.after}:{part}", known) for part in ("mean", "variance")]
    reduced = reduce_channels(edit, tensor, target.axis, known)
    if target.norm is None:
        told, factor = told[:1], None
    else:
        factor = spread_factor(edit, told[1], reduced)
    moved = with_moments(edit, tensor, reduced, told[0], factor)
    edit.graph.inputs.extend(told)
    for user, index in users:
        user.replace_input_with(index, moved)
    return reduced, tuple(value.name or "" for value in told)


def _input(edit: Editor, name: str, known: TensorType) -> ir.Value:
    unique = edit.unique(name)
    edit.values[unique] = ir.Value(
        name=unique, type=ir.TensorType(precision(known)), shape=ir.Shape([None])
    )
    return edit.values[unique]
