"""What a metric is: a description that starts meters, and a meter that counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, TypeAlias

from onnxpress.data.batch import Array, Batch

Needs: TypeAlias = Literal["labels", "reference", "either", "nothing"]


class Metric(ABC):
    """A way to score outputs.

    Attributes:
        name: What the report calls it.
        higher_is_better: Whether a larger value is a better model.
        needs: What outputs are compared with: labels, the outputs of the original model
            (``"reference"``), whichever of them there is, or nothing that is known here.
    """

    name: str
    higher_is_better: bool
    needs: Needs

    @abstractmethod
    def start(self) -> Meter:
        """Return a new meter that has seen nothing yet."""


class Meter(ABC):
    """Counts batch by batch, in memory that does not grow with their number."""

    @abstractmethod
    def update(
        self, outputs: Mapping[str, Array], batch: Batch, reference: Mapping[str, Array] | None
    ) -> None:
        """Take in one batch.

        Args:
            outputs: What the model gave, by output name.
            batch: What it was fed, and the labels.
            reference: What the original model gave, by output name; None if not computed.

        Raises:
            ModelError: If an output holds NaN; names it.
            DataError: If labels do not fit the outputs; says which batch.
            UsageError: If what the metric needs is not there.
        """

    @abstractmethod
    def value(self) -> float:
        """Return the score of all batches so far; NaN before the first."""
