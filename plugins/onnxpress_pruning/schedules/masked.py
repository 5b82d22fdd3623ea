"""Schedules that change masks while a model is trained."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from onnxpress.training.masking import Masked, Masking
from onnxpress_pruning.schedules.timing import Timed

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress.training.masking import Moment
    from onnxpress.training.pace import Pace
    from onnxpress_pruning.pruning import Pruning
    from onnxpress_pruning.schedules.chooser import Chooser
    from onnxpress_pruning.schedules.timing import Span


class MaskedSchedule(Timed):
    """A schedule that trains once, and changes masks on the way."""

    @property
    def below(self) -> Literal["zero", "trained", "waits"]:
        """What becomes of weights under masks, as in `Masked`."""
        return "zero"

    @property
    def wants_gradient(self) -> bool:
        """Whether masks follow from gradients."""
        return False

    @abstractmethod
    def masks(self, moment: Moment, span: Span, chooser: Chooser) -> Mapping[str, Array]:
        """Return new masks for all that have one, true where a weight is kept."""

    def first(self, chooser: Chooser) -> Mapping[str, Array]:
        """Return the masks before the first update: by default those that the model has."""
        return chooser.present()

    def changes(self, span: Span, step: int) -> bool:
        """Say whether masks change before update `step` + 1."""
        return span.prunes(step)

    def settles(self, span: Span) -> int:
        """Return after how many updates a model is as sparse as it is to be."""
        return span.end + 1

    def check(self, step: Pruning) -> None:
        self.needs_masks(step)

    @final
    def run(self, step: Pruning, model: Model, job: Job) -> Model:
        from onnxpress.training.training import train
        from onnxpress_pruning.schedules.chooser import Chooser

        how = self.training(step)
        job.require_data(step.name)
        chooser = Chooser.of(step, model, job)
        masking = ScheduledMasks(self, chooser)
        fitted = train(chooser.model, job, how, step.name, masking=masking)
        return chooser.result(fitted)


@final
@dataclass
class ScheduledMasks(Masking):
    """A schedule at work in a training.

    Attributes:
        schedule: The schedule.
        chooser: What chooses which weights go.
    """

    schedule: MaskedSchedule
    chooser: Chooser

    def __post_init__(self) -> None:
        below, gradient = self.schedule.below, self.schedule.wants_gradient
        first = self.schedule.first(self.chooser)
        self.parameters = {n: Masked(kept, below, gradient) for n, kept in first.items()}

    def before(self, moment: Moment) -> None:
        span = self.schedule.span(moment.pace)
        if moment.names and self.schedule.changes(span, moment.updates):
            moment.set_masks(self.schedule.masks(moment, span, self.chooser))

    def settled(self, updates: int, pace: Pace) -> bool:
        return updates >= self.schedule.settles(self.schedule.span(pace))

    @property
    def text(self) -> str:
        return self.chooser.step.model_dump_json(exclude={"train"})
