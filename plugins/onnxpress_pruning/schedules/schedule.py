"""What a schedule is: it decides when a step prunes, and when it trains."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, final

from onnxpress.errors import UsageError
from onnxpress.recipe.chosen import Chosen

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress.training.options import Training
    from onnxpress_pruning.pruning import Pruning

BUDGETS: Final = ("parameters", "bytes", "macs")
MASKED: Final = frozenset({"unstructured", "n:m", "block"})
"""The structures that set weights to zero and leave the graph as it is."""


class PruningSchedule(Chosen):
    """When a step prunes, and when it trains.  Its options are its fields; it holds no state."""

    @abstractmethod
    def run(self, step: Pruning, model: Model, job: Job) -> Model:
        """Prune a model, and train it if the step has a ``train`` block.

        Raises:
            UsageError: If it needs a ``train`` block and there is none.
            OptionError: If its times do not fit the length of the training.
        """

    def check(self, step: Pruning) -> None:
        """Check this schedule against the other options of a step.

        Raises:
            ValueError: If they exclude each other.
        """

    @final
    def training(self, step: Pruning) -> Training:
        """Return the ``train`` block.

        Raises:
            UsageError: If there is none.
        """
        if step.train is None:
            raise UsageError(
                f"{step.name}: schedule={self.name} prunes while the model is trained; say how to "
                "train: epochs=… among the options, or a table [steps.train] in a recipe"
            )
        train: Training = step.train
        return train

    @final
    def needs_masks(self, step: Pruning) -> None:
        """Refuse structures that take parts out, and masks that are given."""
        if step.structure not in MASKED:
            raise ValueError(
                f"schedule={self.name} changes masks while the model is trained, and "
                f"structure={step.structure} takes parts out of the graph: use "
                "schedule=iterative, sparsity-learning or one-shot"
            )
        if step.masks is not None:
            raise ValueError(f"masks decide what is pruned; schedule={self.name} would change them")
        if step.of == "remaining":
            raise ValueError(f"of=remaining fits one-shot pruning; schedule={self.name} has a goal")
        if step.reconstruct or step.criterion.rebuilds:
            raise ValueError(
                f"schedule={self.name} trains what is left, in place of rebuilding it: leave out "
                "reconstruct, or use schedule=one-shot or iterative"
            )


def budget_of(step: Pruning) -> str | None:
    """Return the name of the budget that says how much is pruned, None if a share does."""
    return next((name for name in BUDGETS if getattr(step, name) is not None), None)


def aside(job: Job) -> Job:
    """Return a job for what is done on the way: observers see its progress, the report does not."""
    return replace(job, changed=[], declined=[])


def in_round(train: Training, number: int) -> Training:
    """Return how to train in one of several rounds: each has a checkpoint of its own."""
    if train.checkpoint is None:
        return train
    path = train.checkpoint
    own = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return train.model_copy(update={"checkpoint": own})


def in_words(rounds: int, last: str) -> str:
    """Return the summary of several rounds, from that of the last."""
    return last if rounds == 1 else f"{rounds} rounds, the last: {last}"


def with_share(step: Pruning, share: float, **others: Any) -> Pruning:
    """Return a step with another share, and others in proportion where layers have their own."""
    scale = share / step.share if step.share else 0.0
    shares = {pattern: own * scale for pattern, own in step.sparsities.items()}
    changed = {"sparsity": share, "ratio": None, "sparsities": shares, **others}
    return step.model_copy(update=changed)
