"""The Gauss-Newton diagonal of a loss: how it curves along each weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.calibration.parallel import cores, in_order
from onnxpress.errors import UsageError
from onnxpress.session import Session
from onnxpress.training.loss import LOSS, drop_unused
from onnxpress_pruning.criteria.gradients import Mean

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Batch, Feeds
    from onnxpress.graph.model import Model
    from onnxpress.training.loss import Loss
    from onnxpress_pruning.criteria.passes import Slope

_EXACT: Final = 32  # outputs; with more, columns are drawn
_DRAWS: Final = 8  # columns for each sample
_LARGEST: Final = 2048  # outputs: a matrix of their square is decomposed for each sample
_GIVEN: Final = "scores given"
_SEED: Final = "column"
_CURVATURE: Final = "curvature.{}"


class Curvature:
    """The Gauss-Newton diagonal of the loss on one sample.

    Args:
        slope: The loss; penalties in it do not count.
        names: Stored tensors.
        seed: Where draws come from.

    Raises:
        UsageError: If the model acts on the loss through several tensors.
    """

    def __init__(self, slope: Slope, names: Sequence[str], seed: int) -> None:
        if slope.loss.scores is None:
            raise UsageError(
                f"criterion={slope.criterion} looks at the loss as a function of one tensor of the "
                "model, and it depends on several; give one objective, or choose fisher"
            )
        self._slope, self._seed, self._scores = slope, seed, slope.loss.scores
        rules = slope.job.rules
        trunk, head = _cut(slope.loss, self._scores)
        self._of = {gradient_name(name): name for name in names}
        pulled = gradient(trunk, {self._scores: _SEED}, names, rules=rules)
        curved = gradient(
            gradient(head, LOSS, _GIVEN, rules=rules),
            {gradient_name(_GIVEN): _SEED},
            _GIVEN,
            rules=rules,
            called=_CURVATURE,
        )
        self._inputs = [value.name or "" for value in curved.inputs]
        self._forward = Session(trunk, threads=1)
        self._backward = Session(pulled, threads=1)
        self._head = Session(curved, threads=1)

    def mean(self) -> dict[str, Array]:
        """Return the mean over all samples, by tensor, in its shape.

        Raises:
            UsageError: If the model can't take single samples, or gives too many scores.
        """
        mean = Mean()
        samples = enumerate(self._slope.batches(single=True))
        for found in in_order(self._of_sample, samples, cores()):
            mean.add(found)
        return mean.arrays

    def _of_sample(self, item: tuple[int, tuple[str, Batch]]) -> dict[str, Array]:
        index, (where, batch) = item
        scores = self._forward.run(batch.feeds)[self._scores]
        given = {**self._slope.loss.feeds(batch, where), _GIVEN: scores}
        columns = self._root({n: a for n, a in given.items() if n in self._inputs}, scores)
        if columns.shape[1] > _EXACT:
            rng = np.random.default_rng([self._seed, index])
            signs = rng.choice([-1.0, 1.0], (columns.shape[1], _DRAWS))
            columns = columns @ signs / np.sqrt(_DRAWS)
        total = {name: np.zeros((), np.float32) for name in self._of.values()}
        for column in columns.T:
            seed = column.reshape(scores.shape).astype(scores.dtype)
            found = self._backward.run({**batch.feeds, _SEED: seed}, list(self._of))
            for name, array in found.items():
                total[self._of[name]] = total[self._of[name]] + np.square(array)
        return total

    def _root(self, given: Feeds, scores: Array) -> Array:
        """Return S with ``S Sᵀ = L``, the Hessian of the loss with respect to the scores."""
        size = scores.size
        if size > _LARGEST:
            raise UsageError(
                f"criterion={self._slope.criterion}: {self._scores!r} has {size:,} elements for "
                f"one sample, and a matrix of all pairs would be needed (up to {_LARGEST:,}); "
                "choose fisher"
            )
        result = _CURVATURE.format(_GIVEN)
        rows = (
            self._head.run({**given, _SEED: unit.reshape(scores.shape)}, [result])[result].ravel()
            for unit in np.eye(size, dtype=scores.dtype)
        )
        values, vectors = np.linalg.eigh(np.stack(list(rows)).astype(np.float64))
        kept = values > values[-1] * np.finfo(scores.dtype).eps
        return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def _cut(loss: Loss, scores: str) -> tuple[Model, Model]:
    """Cut a loss at one tensor: from the model's inputs to it, and from it to the loss."""
    trunk, head = loss.model.edit(), loss.model.edit()
    trunk.graph.outputs[:] = [trunk.values[scores]]
    drop_unused(trunk.ir, {label.name for label in loss.labels})
    old = head.values[scores]
    given = ir.Value(name=_GIVEN, type=old.type, shape=old.shape)
    old.replace_all_uses_with(given)
    head.graph.inputs.append(given)
    drop_unused(head.ir, {value.name or "" for value in loss.model.inputs})
    return trunk.done(), head.done()
