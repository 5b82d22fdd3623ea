"""``binary-cross-entropy``: yes or no, for each of any number of questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, final

import numpy as np
from pydantic import BeforeValidator, Field

from onnxpress.errors import UsageError
from onnxpress_training.objectives.compared import Compared, average, labels_like, wide
from onnxpress_training.objectives.labels import class_count, read_shares

if TYPE_CHECKING:
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.data.batch import Array
    from onnxpress.training.goal import Goal, LabelGoal

_SIGMOID = frozenset({"Sigmoid"})


def _as_list(value: object) -> object:
    """Take a single number for a list of one."""
    return [value] if isinstance(value, str | int | float) else value


@final
class BinaryCrossEntropy(Compared):
    """Cross-entropy between scores and labels from 0 (no) to 1 (yes), each by itself.

    Labels have the shape of the scores; several classes may be right at once.  A model that
    ends in Sigmoid is trained on what that reads, which is exact where probabilities would
    round to 0 or 1.
    """

    name: ClassVar[str] = "binary-cross-entropy"

    pos_weight: Annotated[Sequence[float], BeforeValidator(_as_list)] = Field(
        default=(),
        description="what a yes counts against a no: one number, or one for each class "
        "(the last axis)",
    )

    def build(self, goal: Goal) -> Tensor:
        """``(1-y)·x + (1 + (p-1)·y) · log(1 + exp(-x))``; softplus does not overflow."""
        x = wide(goal.logits(self.output, _SIGMOID))
        y = labels_like(x, goal.need_labels(self.name))
        no = x.op("Softplus", -x)
        if self.pos_weight:
            self._check(x)
            weights = np.array(self.pos_weight) - 1
            no = no * (y * x.op.constant(weights, x.dtype) + 1)
        return average((1 - y) * x + no)

    def read_labels(self, labels: Array, goal: LabelGoal, where: str) -> Array:
        return read_shares(labels, goal, where)

    def _check(self, x: Tensor) -> None:
        last = class_count(x.shape, -1)
        if len(self.pos_weight) > 1 and last not in {None, len(self.pos_weight)}:
            raise UsageError(
                f"{self.name}: there are {len(self.pos_weight)} values of pos-weight, and "
                f"{x.name!r} has {last} classes"
            )
