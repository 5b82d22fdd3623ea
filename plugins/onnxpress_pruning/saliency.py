"""The step ``saliency-pruning``."""

from __future__ import annotations

from typing import Any, ClassVar, final

from pydantic import Field

from onnxpress.training.options import Objectives
from onnxpress_pruning.criteria.known import SaliencyCriterion, make_saliency
from onnxpress_pruning.pruning import Pruning


@final
class SaliencyPruning(Pruning):
    """Set the weights to zero that matter least to what the model does on data.

    Where `magnitude-pruning` looks at the size of a weight, this looks at what it does: at
    how the loss on labelled data depends on it, or at what flows through it.  The data are
    those of ``--data``.  Counts, structures and what is pruned are as for `magnitude-pruning`;
    so channels, attention heads and residual blocks can be taken out too.
    """

    name: ClassVar[str] = "saliency-pruning"

    criterion: SaliencyCriterion = Field(
        default_factory=lambda: make_saliency("taylor"),
        description="what a weight is worth: snip, taylor, fisher, obd, grasp by labelled data; "
        "wanda, obs by data; synflow by none; of whole channels also taylor-activation, "
        "activation-mean, apoz; controls: random, shuffled",
    )
    objective: Objectives = Field(
        default=(),
        description="what gradients are of, summed: cross-entropy, mean-squared-error …; by "
        "default that of the train block, else what fits the labels",
    )

    @property
    def objective_written(self) -> tuple[Any, ...]:
        return self.objective or super().objective_written
