"""What the steps share that train: their block, and what they do with overridable weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from onnxpress.contract import Transform
from onnxpress.training.options import Training

if TYPE_CHECKING:
    from onnxpress.graph.model import Model


class Trains(Transform):
    """A step with a ``train`` block."""

    train: Training = Field(default_factory=Training, description="how to train")
    freeze: bool = Field(
        default=False,
        description="drop graph inputs that only override stored weights (old exporters list all)",
    )

    def prepared(self, model: Model) -> Model:
        """Return the model to train: without those inputs, if that is asked for."""
        from onnxpress.graph.edit import frozen

        return frozen(model) if self.freeze else model
