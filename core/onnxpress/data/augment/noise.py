"""`Noise`: Gaussian noise on any float input."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from onnxpress.data.augment.augmentation import Augmentation
from onnxpress.data.augment.inputs import find_floats
from onnxpress.data.batch import Batch


@final
class Noise(Augmentation):
    """Add independent Gaussian noise to every value of a float input of any shape."""

    name: ClassVar[str] = "noise"

    std: float = Field(
        default=0.01, gt=0, description="its standard deviation, in units of what the model is fed"
    )
    input: str | None = Field(default=None, description="the input to change, if several could be")

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        name = find_floats(batch, self.input, self.name)
        array = batch.feeds[name]
        noise = rng.standard_normal(array.shape, np.float32)
        noise *= np.float32(self.std)
        return Batch({**batch.feeds, name: array + noise.astype(array.dtype)}, batch.labels)
