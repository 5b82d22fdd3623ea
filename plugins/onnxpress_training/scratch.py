"""The step ``train``: from random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, final

from pydantic import BeforeValidator, Field

from onnxpress.training.initializers import Kaiming, make_initializer
from onnxpress_training.trains import Trains

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.job import Job


@final
class Train(Trains):
    """Give a model new random weights, and train it from there on labelled data.

    The weights of the model given play no part, its graph does.  Biases start at 0,
    normalisations at the identity, everything else as `initializer` says.
    """

    name: ClassVar[str] = "train"

    initializer: Annotated[Any, BeforeValidator(make_initializer)] = Field(
        default_factory=Kaiming,
        description="how weights are drawn: kaiming, xavier, orthogonal, truncated-normal, with "
        "options as in kaiming:fan=out",
    )

    def apply(self, model: Model, job: Job) -> Model:
        from onnxpress.training.initialize import initialize
        from onnxpress.training.training import train

        fresh = initialize(self.prepared(model), job.seed, self.initializer)
        return train(fresh, job, self.train, self.name).model
