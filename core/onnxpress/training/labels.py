"""Where labels go into a training step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx_ir as ir

from onnxpress.training.goal import LABELS, Goal, LabelGoal

if TYPE_CHECKING:
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.contract import Objective
    from onnxpress.data.batch import Array


@dataclass(frozen=True)
class LabelInput:
    """An input of the step that takes labels, and the objective that reads them."""

    name: str
    objective: Objective
    goal: LabelGoal

    def read(self, labels: Array, where: str) -> Array:
        """Check labels and bring them into the form that the step takes."""
        return self.objective.read_labels(labels, self.goal, where)


def add_label_input(goal: Goal, objective: Objective, labels: Array) -> tuple[LabelInput, Tensor]:
    """Add an input of the type that an objective makes of the first labels.

    Args:
        goal: The model, and what adds nodes.
        objective: Who reads the labels.
        labels: Those of the first batch.

    Raises:
        DataError: If the labels do not fit.
    """
    compared = goal.tensor(getattr(objective, "output", None))
    meant = LabelGoal(compared.name, compared.shape, labels.dtype.kind == "f")
    read = objective.read_labels(labels, meant, "the first batch")
    name = goal.op.name(LABELS)
    known = compared.shape if compared.rank == read.ndim else (compared.shape or ())[:1]
    value = ir.Value(
        name=name,
        shape=ir.Shape(_sizes(name, known or (), read.ndim)),
        type=ir.TensorType(ir.DataType.from_numpy(read.dtype)),
    )
    goal.op.graph.inputs.append(value)
    return LabelInput(name, objective, meant), goal.op.tensor(value)


def _sizes(name: str, known: Sequence[int | str | None], rank: int) -> list[int | str]:
    """Return sizes as far as they are known, and names for the others."""
    dims = [*known, *(None for _ in range(rank - len(known)))]
    return [f"{name}_{axis}" if dim is None else dim for axis, dim in enumerate(dims)]
