"""The schedule ``lottery``: prune what training made small, and set the rest back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from pydantic import Field

from onnxpress.errors import OptionError
from onnxpress.graph.pruned import masks_of, record_pruned
from onnxpress.training.masking import Masking
from onnxpress_pruning.schedules import shares
from onnxpress_pruning.schedules.schedule import (
    PruningSchedule,
    aside,
    budget_of,
    in_round,
    in_words,
    with_share,
)

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress.training.masking import Moment
    from onnxpress.training.pace import Pace
    from onnxpress_pruning.pruning import Pruning


@final
class Lottery(PruningSchedule):
    """Iterative magnitude pruning with rewinding (Frankle et al. 2019, arXiv:1912.05671).

    Train; prune `rate` of what is left; set the rest back to what it was after `rewind` steps,
    statistics and biases too; and so on until the share wanted is reached.  Every round trains
    with the whole ``train`` block.  The paper ranks all layers together: scope=global.
    """

    name: ClassVar[str] = "lottery"

    rate: float = Field(
        default=0.2, gt=0, lt=1, description="share of what is left that goes in each round"
    )
    rewind: float = Field(default=0, ge=0, description="after how much training to set back to")
    unit: Literal["steps", "epochs"] = Field(
        default="steps", description="what rewind counts: updates, or epochs"
    )

    def check(self, step: Pruning) -> None:
        self.needs_masks(step)
        if step.structure == "n:m":
            raise ValueError("structure=n:m has one share; schedule=lottery prunes in rounds")
        if budget_of(step) is not None:
            raise ValueError("schedule=lottery goes to a share; give sparsity, not a budget")

    def run(self, step: Pruning, model: Model, job: Job) -> Model:
        from onnxpress.training.training import train

        how = self.training(step)
        start = early_weights(self, step, model, job)
        trained = train(model, aside(job), in_round(how, 0), step.name).model
        levels = shares.remaining(shares.rounds_to(self.rate, step.share), self.rate, step.share)
        for number, share in enumerate(levels, start=1):
            told = job if number == len(levels) else aside(job)
            pruned = with_share(step, share).prune(trained, told)
            trained = train(_ticket(start, pruned), told, in_round(how, number), step.name).model
        job.summary = in_words(len(levels), job.summary)
        return trained


def early_weights(lottery: Lottery, step: Pruning, model: Model, job: Job) -> Model:
    """Return the model to set back to: trained up to there, as the first round will be.

    Raises:
        OptionError: If that is not before the last update.
    """
    from onnxpress.training.training import train

    if not lottery.rewind:
        return model
    short = lottery.training(step).model_copy(update={"checkpoint": None, "checkpoint_every": None})
    silent = replace(aside(job), notify=lambda _event: None)
    try:
        train(model, silent, short, step.name, masking=_Until(lottery))
    except _Reached as reached:
        return reached.model
    raise OptionError(
        f"rewind={lottery.rewind:g} ({lottery.unit}) is not before the last update of the training"
    )


class _Reached(Exception):  # noqa: N818  # no error: it carries a model out of a training
    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model


@dataclass
class _Until(Masking):
    """Masks nothing, and leaves the training where it is to be set back to."""

    schedule: Lottery

    def __post_init__(self) -> None:
        self.parameters = {}

    def before(self, moment: Moment) -> None:
        scale = moment.pace.per_epoch if self.schedule.unit == "epochs" else 1
        if moment.updates == round(self.schedule.rewind * scale):
            raise _Reached(moment.model())

    def settled(self, updates: int, pace: Pace) -> bool:
        del updates, pace
        return True

    @property
    def text(self) -> str:
        return ""


def _ticket(start: Model, pruned: Model) -> Model:
    """Return the early weights with the zeros of the trained ones."""
    edit = start.edit()
    weights = {w.name: w for layer in edit.layers for w in layer.tensors}
    masks = masks_of(pruned)
    for name, kept in masks.items():
        early = weights[name].array()
        edit.set_weight(weights[name], np.where(kept, early, early.dtype.type(0)))
    record_pruned(edit.ir, masks)
    return edit.done()
