"""The step ``finetune``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from pydantic import Field

from onnxpress.contract import Transform
from onnxpress.training.options import Training

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.job import Job


@final
class Finetune(Transform):
    """Train the weights of a model a little further, on labelled data.

    Gradients are computed by ONNX Runtime; no training framework is needed.  By default the
    objective is what fits the labels: cross-entropy for class indices, else the mean squared
    error.  Weights that an earlier step pruned stay zero.
    """

    name: ClassVar[str] = "finetune"

    train: Training = Field(default_factory=Training, description="how to train")
    freeze: bool = Field(
        default=False,
        description="drop graph inputs that only override stored weights (old exporters list all)",
    )

    def apply(self, model: Model, job: Job) -> Model:
        from onnxpress.training.training import train

        if self.freeze:
            edit = model.edit()
            edit.freeze()
            model = edit.done()
        return train(model, job, self.train, self.name).model
