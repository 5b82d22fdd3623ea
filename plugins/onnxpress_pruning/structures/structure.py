"""What a mask structure is: from scores of single weights to masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from onnxpress.graph.weights import Weight
    from onnxpress_pruning.criteria.criterion import ElementScores
    from onnxpress_pruning.ranking import Mask
    from onnxpress_pruning.targets import Target

Sizes: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What goes of one tensor.

    Attributes:
        goes: Flat, one for each element: true where it is to be zero.
        bound: Which bound kept more from going, in words; empty if none did.
        reason: Why nothing goes that is not zero already, in words; counts if so.
    """

    goes: Mask
    bound: str = ""
    reason: str = ""


class MaskStructure(ABC):
    """Which weights go together.  It holds no state: ask again whenever weights have changed."""

    @abstractmethod
    def choices(
        self, targets: Sequence[Target], scores: ElementScores, share: float | None = None
    ) -> Iterator[Choice]:
        """Yield what goes of each target, in order.

        Args:
            targets: The tensors, as they are now.
            scores: What scores their elements; may be called several times for each.
            share: The share to be zero now; None for that of each target.  What has a share
                of its own built in (N:M) pays no heed.
        """

    def refusal(self, weight: Weight) -> str | None:
        """Say why a tensor can't have this structure, None if it can."""
        del weight
        return None

    def masks(
        self, targets: Sequence[Target], scores: ElementScores, share: float | None = None
    ) -> list[Mask]:
        """Return for each target where it is to be zero, flat; arguments as for `choices`."""
        return [choice.goes for choice in self.choices(targets, scores, share)]


def order_of_axes(weight: Weight) -> Sizes:
    """Return the axes of a tensor, output channels first, then input channels, then the rest.

    If one of the two is not known, such as the inputs of an embedding, as they are stored.
    """
    axes = tuple(range(len(weight.shape)))
    output, input_ = weight.output_axis, weight.input_axis
    if output is None or input_ is None:
        return axes
    return (output, input_, *(axis for axis in axes if axis not in (output, input_)))
