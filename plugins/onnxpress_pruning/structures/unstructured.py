"""The structure ``unstructured``: every weight goes by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from onnxpress_pruning.structures.parts import PartStructure

if TYPE_CHECKING:
    from onnxpress.graph.weights import Weight
    from onnxpress_pruning.criteria.criterion import Scores
    from onnxpress_pruning.ranking import Mask


@final
@dataclass(frozen=True)
class Unstructured(PartStructure):
    """Every weight goes by itself."""

    def pool(self, weight: Weight, scores: Scores) -> Scores:
        del weight
        return scores

    def zero(self, weight: Weight) -> Mask:
        zero: Mask = weight.array().reshape(-1) == 0
        return zero

    def spread(self, weight: Weight, goes: Mask) -> Mask:
        del weight
        return goes

    def parts(self, weight: Weight) -> int:
        return weight.size
