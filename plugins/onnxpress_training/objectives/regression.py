"""Losses between values: squared and absolute error, Huber, cosine."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from pydantic import Field

from onnxpress_training.objectives.compared import Compared, average, labels_like, wide
from onnxpress_training.objectives.labels import read_values

if TYPE_CHECKING:
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.data.batch import Array
    from onnxpress.training.goal import Goal, LabelGoal

_LEAST_NORM = 1e-8  # as in torch.nn.functional.cosine_similarity


class _Values(Compared):
    """A loss whose labels are values, in the shape of the tensor."""

    def read_labels(self, labels: Array, goal: LabelGoal, where: str) -> Array:
        return read_values(labels, goal, where)

    def pair(self, goal: Goal) -> tuple[Tensor, Tensor]:
        """Return the tensor, and the labels in its type and shape."""
        x = wide(goal.tensor(self.output))
        return x, labels_like(x, goal.need_labels(self.name))

    def error(self, goal: Goal) -> Tensor:
        """Return the tensor less the labels."""
        x, y = self.pair(goal)
        return x - y


@final
class MeanSquaredError(_Values):
    """The square of the difference to the labels, averaged over all elements."""

    name: ClassVar[str] = "mean-squared-error"

    def build(self, goal: Goal) -> Tensor:
        error = self.error(goal)
        return average(error * error)


@final
class MeanAbsoluteError(_Values):
    """The absolute difference to the labels, averaged over all elements."""

    name: ClassVar[str] = "mean-absolute-error"

    def build(self, goal: Goal) -> Tensor:
        error = self.error(goal)
        return average(error.op("Abs", error))


@final
class Huber(_Values):
    """Half the squared difference where it is small, and linear beyond `delta` (Huber 1964)."""

    name: ClassVar[str] = "huber"

    delta: float = Field(default=1.0, gt=0, description="the difference from which it is linear")

    def build(self, goal: Goal) -> Tensor:
        """``c · (e - c/2)``, where c is the error e, cut off at ±delta."""
        error = self.error(goal)
        op, kind = error.op, error.dtype
        cut = op("Clip", error, op.constant(-self.delta, kind), op.constant(self.delta, kind))
        return average(cut * (error - cut * 0.5))


@final
class Cosine(_Values):
    """One less the cosine of the angle to the labels, averaged over the samples."""

    name: ClassVar[str] = "cosine"

    axis: int = Field(default=-1, description="axis along which the vectors lie")

    def build(self, goal: Goal) -> Tensor:
        x, y = self.pair(goal)
        along = (x * y).sum((self.axis,))
        return 1 - average(along / (self._norm(x) * self._norm(y)))

    def _norm(self, x: Tensor) -> Tensor:
        """Return the length of vectors; the root is never taken of 0, where it has no slope."""
        square = (x * x).sum((self.axis,))
        return x.op("Sqrt", x.op("Max", square, x.op.constant(_LEAST_NORM**2, x.dtype)))
