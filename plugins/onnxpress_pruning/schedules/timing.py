"""When a schedule prunes: begin, end and frequency, in steps or epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from onnxpress.errors import OptionError
from onnxpress_pruning.schedules.schedule import PruningSchedule

if TYPE_CHECKING:
    from onnxpress.training.pace import Pace

_END: Final = 0.75  # of the training, if nothing else is said: the rest is for recovery
_USUAL: Final = 100  # steps, as in TFMOT
_FEWEST: Final = 10  # times, where training is short


@dataclass(frozen=True, slots=True)
class Span:
    """Steps at which masks change.

    Attributes:
        begin: The first; a step is the number of updates done so far.
        end: The last.
        frequency: How many lie between two.
    """

    begin: int
    end: int
    frequency: int

    def prunes(self, step: int) -> bool:
        """Say whether masks change before update `step` + 1; at the end in any case."""
        if not self.begin <= step <= self.end:
            return False
        return step == self.end or (step - self.begin) % self.frequency == 0


class Timed(PruningSchedule):
    """A schedule with a beginning, an end and a frequency."""

    begin: float = Field(default=0, ge=0, description="when pruning begins")
    end: float | None = Field(
        default=None,
        gt=0,
        description="when the share is reached; after three quarters of the training by default",
    )
    frequency: float | None = Field(
        default=None,
        gt=0,
        description="how much lies between two changes of the masks; by default 100 steps, or a "
        "tenth of the way if that is less",
    )
    unit: Literal["steps", "epochs"] = Field(
        default="steps", description="what begin, end and frequency count: updates, or epochs"
    )

    def span(self, pace: Pace) -> Span:
        """Return when masks change, in updates.

        An end at the end of the training means before its last update.

        Raises:
            OptionError: If the training is over before that.
        """
        scale = pace.per_epoch if self.unit == "epochs" else 1
        begin = round(self.begin * scale)
        end = round(pace.total * _END) if self.end is None else round(self.end * scale)
        if begin >= pace.total or end > pace.total:
            raise OptionError(
                f"schedule={self.name} goes from update {begin} to {end}, and training has "
                f"{pace.total} (an epoch has {pace.per_epoch}): train longer, or give begin and end"
            )
        end = max(begin, min(end, pace.total - 1))
        usual = min(_USUAL, max((end - begin) // _FEWEST, 1))
        frequency = usual if self.frequency is None else max(round(self.frequency * scale), 1)
        return Span(begin, end, frequency)
