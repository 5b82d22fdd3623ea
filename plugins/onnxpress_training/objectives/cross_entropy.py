"""``cross-entropy``: one of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from pydantic import Field

from onnxpress.errors import UsageError
from onnxpress_training.objectives.compared import Compared, average, total, wide
from onnxpress_training.objectives.labels import class_count, read_classes, read_distributions

if TYPE_CHECKING:
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.data.batch import Array
    from onnxpress.training.goal import Goal, LabelGoal

_SOFTMAXES = frozenset({"Softmax", "LogSoftmax"})


@final
class CrossEntropy(Compared):
    """Cross-entropy between class scores and the right class, as in PyTorch.

    Labels are class indices, one-hot rows, or floats: the probability of every class.
    Scores may have further axes, as (N, C, H, W) for labels (N, H, W); the loss is then the
    average over all places.  A model that ends in Softmax or LogSoftmax is trained on what
    that reads, which is exact where probabilities would round to 0 or 1.
    """

    name: ClassVar[str] = "cross-entropy"

    axis: int = Field(default=1, description="axis of the scores that counts classes")
    label_smoothing: float = Field(
        default=0, ge=0, lt=1, description="share of the label spread evenly over all classes"
    )
    class_weights: Sequence[float] = Field(
        default=(), description="a weight for every class; labels count by that of their class"
    )
    ignore_index: int | None = Field(
        default=None, description="a label of places that do not count, such as -100"
    )

    def build(self, goal: Goal) -> Tensor:
        scores = wide(goal.logits(self.output, _SOFTMAXES))
        labels = goal.need_labels(self.name)
        self._check(scores)
        chances = scores.op("LogSoftmax", scores, axis=self.axis)
        assert labels.dtype is not None
        if labels.dtype.is_floating_point():
            return self._of_distributions(chances, labels)
        return self._of_classes(chances, labels)

    def read_labels(self, labels: Array, goal: LabelGoal, where: str) -> Array:
        probabilities = goal.floating and (goal.shape is None or labels.ndim == len(goal.shape))
        if probabilities and class_count((*labels.shape,), self.axis) != 1:
            return read_distributions(labels, goal, self.axis, where)
        return read_classes(labels, goal, self.axis, self.ignore_index, where)

    def _check(self, scores: Tensor) -> None:
        """Refuse scores along whose axis there are no classes, and weights of another number."""
        rank = scores.rank
        if rank is not None and not -rank <= self.axis < rank:
            raise UsageError(
                f"{self.name}: {scores.name!r} has {rank} axes, so axis={self.axis} is not one of "
                "them"
            )
        self._check_softmax(scores)
        classes = class_count(scores.shape, self.axis)
        if classes == 1:
            raise UsageError(
                f"{scores.name!r} has one class along axis {self.axis}, so that {self.name} is "
                "always 0; use binary-cross-entropy, or another axis"
            )
        if self.class_weights and classes not in {None, len(self.class_weights)}:
            raise UsageError(
                f"{self.name}: there are {len(self.class_weights)} class-weights, and "
                f"{scores.name!r} has {classes} classes along axis {self.axis}"
            )

    def _check_softmax(self, scores: Tensor) -> None:
        """Refuse an axis that the model's own Softmax contradicts."""
        ends = [node for node in scores.value.consumers() if node.op_type in _SOFTMAXES]
        axes = {node.attributes.get_int("axis", -1) for node in ends}
        if len(axes) != 1 or scores.rank is None:
            return
        own = axes.pop() % scores.rank
        if own != self.axis % scores.rank:
            raise UsageError(
                f"{self.name} takes axis {self.axis} of {scores.name!r} for the classes, but the "
                f"model's {ends[0].op_type} goes over axis {own}; write axis={own}"
            )

    def _of_distributions(self, chances: Tensor, shares: Tensor) -> Tensor:
        """``-mean Σ_c w_c · q_c · log p_c``, where q are the labels, smoothed."""
        shares = shares.cast(chances.dtype)
        if shares.rank != chances.rank or shares.rank is None:
            shares = shares.reshape_like(chances)
        if self.label_smoothing:
            even = self.label_smoothing / self._classes(chances)
            shares = shares * (1 - self.label_smoothing) + even
        if self.class_weights:
            shares = shares * self._weights(chances)
        return -average((shares * chances).sum((self.axis,)))

    def _of_classes(self, chances: Tensor, labels: Tensor) -> Tensor:
        """``Σ_n w_n · loss_n / Σ_n w_n`` over places n that count, ``w_n`` of the right class.

        With smoothing s, it is ``(1-s) · loss + s/C · Σ_c w_c · -log p_c``, averaged likewise.
        """
        op = chances.op
        labels = self._like_scores(chances, labels)
        counts = None
        if self.ignore_index is not None:
            inside = op("Not", labels.equal(self.ignore_index))
            labels = op("Where", inside, labels, op.scalar(0))
            counts = inside.cast(chances.dtype)
        weights = counts
        if self.class_weights:
            own = op("Gather", self._vector(chances), labels, axis=0)
            weights = own if counts is None else own * counts
        loss = -op("GatherElements", chances, labels, axis=self.axis)
        if not self.label_smoothing:
            return _weighted(loss, weights, weights)
        weighted = chances * self._weights(chances) if self.class_weights else chances
        spread = -weighted.sum((self.axis,))
        even = self.label_smoothing / self._classes(chances)
        right = _weighted(loss, weights, weights) * (1 - self.label_smoothing)
        return right + _weighted(spread, counts, weights) * even

    def _like_scores(self, chances: Tensor, labels: Tensor) -> Tensor:
        """Return labels in the shape of the scores, with 1 along the class axis."""
        if labels.rank is not None and chances.rank == labels.rank + 1:
            return labels.unsqueeze(self.axis)
        return labels.reshape_like(chances.sum((self.axis,)))

    def _classes(self, chances: Tensor) -> Tensor | int:
        """Return how many classes there are, as a number where it is known."""
        known = class_count(chances.shape, self.axis)
        return chances.size(self.axis).cast(chances.dtype).reshape() if known is None else known

    def _vector(self, chances: Tensor) -> Tensor:
        return chances.op.constant(np.array(self.class_weights), chances.dtype)

    def _weights(self, chances: Tensor) -> Tensor:
        """Return the weights of classes along the class axis of the scores."""
        after = -self.axis - 1
        if self.axis >= 0:
            if chances.rank is None:
                raise UsageError(
                    f"{self.name}: the rank of {chances.name!r} is unknown; count axis from the end"
                )
            after = chances.rank - self.axis - 1
        return self._vector(chances).reshape(-1, *(1 for _ in range(after)))


def _weighted(loss: Tensor, weights: Tensor | None, of: Tensor | None) -> Tensor:
    """Return the sum of losses times weights, divided by the sum of `of`; the average without.

    Where nothing counts, that is 0.
    """
    if of is None:
        return average(loss)
    whole = total(of)
    divisor = whole.op("Where", whole.equal(0), whole.op.constant(1, whole.dtype), whole)
    return total(loss if weights is None else loss * weights) / divisor
