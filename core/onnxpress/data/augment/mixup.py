"""`Mixup`: samples blended with one another (Zhang and others, arXiv 1710.09412)."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from onnxpress.data.augment.augmentation import Augmentation
from onnxpress.data.augment.inputs import described
from onnxpress.data.augment.labels import blend, blend_labels
from onnxpress.data.batch import Batch
from onnxpress.data.signature import is_float
from onnxpress.errors import UsageError


@final
class Mixup(Augmentation):
    """Blend every sample, all of its inputs, with another one of the batch, and labels alike.

    Class indices become probabilities.  Shares are drawn from Beta(alpha, alpha), one for
    every sample.
    """

    name: ClassVar[str] = "mixup"

    alpha: float = Field(default=0.2, gt=0, description="small: mostly one sample; 1: any share")
    classes: int | None = Field(
        default=None, ge=1, description="how many classes there are; usually known from the model"
    )

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        # x = s·x_i + (1 - s)·x_j, y = s·y_i + (1 - s)·y_j, with s from Beta(alpha, alpha)
        for name, array in batch.feeds.items():
            if not is_float(array.dtype):
                raise UsageError(f"mixup blends floats, and input {name!r} is {described(array)}")
        shares = rng.beta(self.alpha, self.alpha, batch.size)
        others = rng.permutation(batch.size)
        feeds = {name: blend(array, others, shares) for name, array in batch.feeds.items()}
        return Batch(feeds, blend_labels(batch.labels, others, shares, self.classes, self.name))

    def with_classes(self, count: int | None) -> Mixup:
        return self if self.classes else self.model_copy(update={"classes": count})
