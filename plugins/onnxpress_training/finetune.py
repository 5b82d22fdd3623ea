"""The step ``finetune``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from onnxpress_training.trains import Trains

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.job import Job


@final
class Finetune(Trains):
    """Train the weights of a model a little further, on labelled data.

    Gradients are computed by ONNX Runtime; no training framework is needed.  By default the
    objective is what fits the labels: cross-entropy for class indices, else the mean squared
    error.  Weights that an earlier step pruned stay zero.
    """

    name: ClassVar[str] = "finetune"

    def apply(self, model: Model, job: Job) -> Model:
        from onnxpress.training.training import train

        return train(self.prepared(model), job, self.train, self.name).model
