"""`Augmentation`: what every change of a batch is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from onnxpress.data.batch import Batch


class Augmentation(BaseModel, ABC):
    """A random change of a batch, made of its options and of nothing else.

    It comes after preparation, so values are what the model is fed: with a mean and a
    standard deviation taken out, 0 is the mean colour.

    Attributes:
        name: What recipes call it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]

    @abstractmethod
    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the changed batch, of the same types; the arrays of `batch` stay as they were.

        Args:
            batch: What the model would be fed.
            rng: Where chance comes from; the same state gives the same batch.

        Raises:
            UsageError: If the batch has nothing that this could change; says what it has.
        """

    def with_classes(self, count: int | None) -> Augmentation:
        """Return it with the number of classes filled in, if it needs it and lacks it."""
        del count
        return self

    def table(self) -> dict[str, Any]:
        """Return it as a table of plain values: its name under ``use``, and every option."""
        return {"use": self.name, **self.model_dump(mode="json")}
