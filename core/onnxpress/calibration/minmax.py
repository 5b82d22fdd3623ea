"""The range from the smallest to the largest value seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from onnxpress.calibration.activations import Activations
from onnxpress.calibration.method import Method, Range


@final
@dataclass(frozen=True, slots=True)
class MinMax(Method):
    """Cover every value seen, in one pass."""

    name: ClassVar[str] = "min-max"

    def ranges(self, activations: Activations) -> Mapping[str, Range]:
        total: dict[str, Range] = {}
        for name, span in activations.spans():
            total[name] = span | total.get(name, span)
        return total
