"""How long a fit lasts, when weights change, and the learning rate of each update."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxpress.data.sampling import Epochs
    from onnxpress.training.checkpoint import Position
    from onnxpress.training.options import Training


@dataclass(frozen=True)
class Pace:
    """What follows from options and the length of an epoch.

    Attributes:
        options: How to train.
        batches: How many batches make an epoch; None where only going through the data would
            tell, and `Training.steps` says when to stop.
    """

    options: Training
    batches: int | None

    @classmethod
    def of(cls, options: Training, epochs: Epochs) -> Pace:
        """Return the pace on some data; if nothing else tells, count its batches."""
        batches = epochs.steps
        if batches is None and options.steps is None:
            batches = epochs.count()
        return cls(options, batches)

    @property
    def per_epoch(self) -> int:
        """The number of updates in an epoch."""
        if self.batches is not None:
            return max(ceil(self.batches / self.options.accumulate), 1)
        assert self.options.steps is not None  # else batches were counted
        return ceil(self.options.steps / self.options.epochs)

    @property
    def total(self) -> int:
        """The number of updates in all."""
        total, limit = self.per_epoch * self.options.epochs, self.options.steps
        return total if limit is None else min(total, limit)

    def rate(self, at: Position) -> float:
        """Return the learning rate of the next update."""
        schedule = self.options.schedule
        return float(self.options.lr * schedule.at(at.updates, self.total, self.per_epoch))

    def updates(self, at: Position, *, last: bool) -> bool:
        """Say whether weights change at the next batch, which may be the last of its epoch."""
        return last or (at.batch + 1) % self.options.accumulate == 0

    def together(self, at: Position) -> int:
        """Return of how many batches the next update would be, if it came at the next batch."""
        return at.batch % self.options.accumulate + 1

    def stops(self, at: Position) -> bool:
        """Say whether there have been as many updates as there may be."""
        return self.options.steps is not None and at.updates >= self.options.steps

    def done(self, at: Position) -> bool:
        """Say, between two epochs, whether the fit is over."""
        patience = self.options.patience
        waited = patience is not None and at.epoch > 0 and at.epoch - at.best_epoch >= patience
        return at.epoch >= self.options.epochs or self.stops(at) or waited
