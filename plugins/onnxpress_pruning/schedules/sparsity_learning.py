"""The schedule ``sparsity-learning``: train with a penalty first, so that channels become small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from pydantic import Field

from onnxpress_pruning.schedules.schedule import PruningSchedule, aside, in_round

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress.training.options import Training
    from onnxpress_pruning.pruning import Pruning


@final
class SparsityLearning(PruningSchedule):
    """Train with a penalty, prune, and train again without it.

    The penalty is ``group-lasso`` on the channels of convolutions and dense layers (Wen et
    al. 2016), or ``bn-scale``: the absolute scales of normalisations (network slimming, Liu
    et al. 2017), which fits criterion=bn-scale.  It is added to the objective of the ``train``
    block.  What an earlier step pruned stays zero.
    """

    name: ClassVar[str] = "sparsity-learning"

    penalty: Literal["group-lasso", "bn-scale", "l1"] = Field(
        default="group-lasso", description="what is made small while learning"
    )
    strength: float = Field(default=1e-4, gt=0, description="the weight of the penalty")
    epochs: int | None = Field(
        default=None, ge=1, description="epochs with the penalty; those of the train block if not"
    )
    recover: bool = Field(default=True, description="train again after pruning, without penalty")

    def run(self, step: Pruning, model: Model, job: Job) -> Model:
        from onnxpress.training.training import train

        how = self.training(step)
        learning = self.learning(step, in_round(how, 1))
        learned = train(model, aside(job), learning, step.name).model
        pruned = step.prune(learned, job)
        if not self.recover:
            return pruned
        return train(pruned, job, in_round(how, 2), step.name).model

    def learning(self, step: Pruning, how: Training) -> Training:
        """Return how to train with the penalty."""
        changed: dict[str, Any] = {"objective": (*how.objective, self._written(step))}
        if self.epochs is not None:
            changed["epochs"] = self.epochs
        return how.model_copy(update=changed)

    def _written(self, step: Pruning) -> dict[str, Any]:
        """Return the penalty as in a ``train`` block."""
        if self.penalty == "bn-scale":
            return {
                "use": "l1",
                "weight": self.strength,
                "include-norm": True,
                "layers": ["op:BatchNormalization"],
            }
        chosen = {"layers": list(step.layers), "exclude": list(step.exclude)}
        return {"use": self.penalty, "weight": self.strength, **chosen}
