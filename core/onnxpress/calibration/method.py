"""What a calibration method is, and what it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from onnxpress.calibration.activations import Activations


class Range(NamedTuple):
    """The interval of real values that a tensor's integers have to cover.

    Attributes:
        low: Its lower end; not necessarily below zero.
        high: Its upper end, at least `low`.
    """

    low: float
    high: float

    def __or__(self, other: Range) -> Range:
        """Return the smallest range that covers both."""
        return Range(min(self.low, other.low), max(self.high, other.high))


class Method(ABC):
    """A way to choose ranges.  It holds options only; all state lives in `ranges`.

    Attributes:
        name: What options and recipes call it, in kebab-case.
    """

    name: ClassVar[str]

    @abstractmethod
    def ranges(self, activations: Activations) -> Mapping[str, Range]:
        """Return a range for every tensor that the data reached."""
