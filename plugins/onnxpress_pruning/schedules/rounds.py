"""Schedules that prune and then train: once, or in rounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, final

from pydantic import Field

from onnxpress_pruning.schedules import shares
from onnxpress_pruning.schedules.schedule import (
    BUDGETS,
    MASKED,
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
    from onnxpress_pruning.pruning import Pruning


@final
class OneShot(PruningSchedule):
    """Prune at once; then train, if there is a ``train`` block."""

    name: ClassVar[str] = "one-shot"

    def run(self, step: Pruning, model: Model, job: Job) -> Model:
        pruned = step.prune(model, job)
        if step.train is None:
            return pruned
        from onnxpress.training.training import train

        done = job.summary
        trained = train(pruned, job, step.train, step.name).model
        job.summary = ", ".join(filter(None, (done, job.summary)))
        return trained


@final
class Iterative(PruningSchedule):
    """Prune a part, train, and so on: every round trains with the whole ``train`` block.

    The share grows evenly, or along a polynomial.  Where parts are taken out of the graph,
    each round takes its share of what is left, so that all together make the share wanted.
    """

    name: ClassVar[str] = "iterative"

    rounds: int = Field(default=3, ge=1, description="how often to prune and train")
    power: float = Field(default=1.0, gt=0, description="1: evenly; 3: more in early rounds")

    def check(self, step: Pruning) -> None:
        if step.masks is not None:
            raise ValueError("masks decide what is pruned; use schedule=one-shot with them")
        if step.of == "remaining":
            raise ValueError("of=remaining fits one-shot pruning; schedule=iterative has a goal")
        for name in BUDGETS:
            budget = getattr(step, name)
            if budget is not None and budget >= 1:
                raise ValueError(
                    f"schedule=iterative divides a budget into rounds: give {name} as a share"
                )

    def run(self, step: Pruning, model: Model, job: Job) -> Model:
        from onnxpress.training.training import train

        how = self.training(step)
        for number, part in enumerate(self.parts(step), start=1):
            told = job if number == self.rounds else aside(job)
            pruned = part.prune(model, told)
            model = train(pruned, told, in_round(how, number), step.name).model
        job.summary = in_words(self.rounds, job.summary)
        return model

    def parts(self, step: Pruning) -> Iterator[Pruning]:
        """Yield the step of each round."""
        removes = step.structure not in MASKED
        before, budget = 0.0, budget_of(step)
        wanted = step.share if budget is None else 1 - getattr(step, budget)
        for number in range(1, self.rounds + 1):
            share = shares.polynomial(number, 0, self.rounds, 0.0, wanted, self.power)
            now = 1 - (1 - share) / (1 - before) if removes else share
            before = share
            if budget is None:
                yield with_share(step, now)
            else:
                yield step.model_copy(update={budget: 1 - now})
