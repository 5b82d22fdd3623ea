"""What training must keep true after every step.

Earlier steps record in the model's metadata what they made of its weights; training reads it
here, so that a pruned weight stays pruned, also across files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from onnxpress.graph.pruned import masks_of

if TYPE_CHECKING:
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model


class Constraint(Protocol):
    """Something that holds for one parameter after every step."""

    def apply(self, parameter: Tensor) -> Tensor:
        """Emit what an updated parameter becomes so that the constraint holds."""


@dataclass(frozen=True, eq=False)
class Mask:
    """Elements that stay zero.

    Attributes:
        kept: Where an element may be anything; in the shape of the parameter.
    """

    kept: Array

    def apply(self, parameter: Tensor) -> Tensor:
        """Multiply by 0 what is pruned, and by 1 what is kept."""
        return parameter * parameter.op.constant(self.kept, parameter.dtype)


def kept_zeros(model: Model) -> Mapping[str, Constraint]:
    """Return a mask for every tensor that pruning recorded: its zeros are those of now."""
    return {name: Mask(kept) for name, kept in masks_of(model).items()}


@dataclass(frozen=True)
class Several:
    """Constraints of one parameter, applied in order; the last one holds in any case."""

    parts: tuple[Constraint, ...]

    def apply(self, parameter: Tensor) -> Tensor:
        for part in self.parts:
            parameter = part.apply(parameter)
        return parameter


def together(
    first: Mapping[str, Constraint], then: Mapping[str, Constraint]
) -> dict[str, Constraint]:
    """Return both; where both have one for a parameter, that of `first` is applied first."""
    both = {name: Several((first[name], then[name])) for name in first if name in then}
    return {**first, **then, **both}
