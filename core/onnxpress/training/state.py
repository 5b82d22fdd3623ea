"""What a training step carries from one step to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import onnx_ir as ir

from onnxpress.data.batch import Array

if TYPE_CHECKING:
    from onnxpress.autodiff.builder import Builder
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.training.lift import Start

Role: TypeAlias = Literal[
    "parameter", "statistic", "average", "accumulated", "optimizer", "mask", "dense", "score",
    "gradient",
]  # fmt: skip
"""What a slot holds of its parameter; see `onnxpress.training.masking` for the last four."""


Initial: TypeAlias = "Callable[[Start], Array]"
"""Makes what a slot holds before the first step, from how its parameter starts."""


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One tensor that every step reads, and replaces unless it is a mask.

    Attributes:
        given: The name of the step's input that takes it.
        result: The name of the step's output that holds what it becomes; empty for a mask.
        initial: Makes what it is before the first step; a new array every time.
        parameter: The parameter that it is, or belongs to.
        role: What it holds of it.
    """

    given: str
    result: str
    initial: Callable[[], Array]
    parameter: str = ""
    role: Role = "parameter"


@dataclass(frozen=True, slots=True)
class Next:
    """What a slot becomes, while a step is being built.

    Attributes:
        result: What it becomes; None if the step only reads it.
        parameter: The name of the parameter that it is, or belongs to.
        initial: What it is at first.
        role: What it holds of its parameter.
    """

    result: Tensor | None
    parameter: str
    initial: Initial
    role: Role


def slot_input(op: Builder, name: str, like: Tensor) -> Tensor:
    """Add an input of the type of a parameter, or of its gradient."""
    value = ir.Value(name=op.name(name), shape=ir.Shape(like.shape or ()))
    value.type = ir.TensorType(like.dtype or ir.DataType.FLOAT)
    op.graph.inputs.append(value)
    return op.tensor(value)
