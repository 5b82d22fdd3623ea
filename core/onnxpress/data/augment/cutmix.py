"""`Cutmix`: a box of another image in every image (Yun and others, arXiv 1905.04899)."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from onnxpress.data.augment.augmentation import Augmentation
from onnxpress.data.augment.inputs import boxes, find_images, refuse_pixel_labels
from onnxpress.data.augment.labels import blend_labels
from onnxpress.data.batch import Batch
from onnxpress.data.options import Layout


@final
class Cutmix(Augmentation):
    """Put a box of another image of the batch into every image, and blend labels by area.

    Class indices become probabilities.
    """

    name: ClassVar[str] = "cutmix"

    alpha: float = Field(default=1.0, gt=0, description="1: boxes of any size; small: extremes")
    classes: int | None = Field(
        default=None, ge=1, description="how many classes there are; usually known from the model"
    )
    input: str | None = Field(default=None, description="the input to change, if several could be")
    layout: Layout | None = Field(default=None, description="where channels are, if not clear")

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        # A share s from Beta(alpha, alpha) is kept; the box has sides √(1 - s) as long as the
        # image's.  Cut off at the edge, it counts by what is left of it (Algorithm A1).
        refuse_pixel_labels(batch.labels, self.name)
        images = find_images(batch, self.input, self.layout, self.name)
        part = np.sqrt(1 - rng.beta(self.alpha, self.alpha, batch.size))
        rows, columns = (
            boxes(rng.integers(side, size=batch.size), (side * part).astype(np.int64), side)
            for side in images.sides
        )
        others = rng.permutation(batch.size)
        inside = images.along(rows, images.height) & images.along(columns, images.width)
        mixed = np.where(inside, images.array[others], images.array)
        kept = 1 - rows.mean(axis=1) * columns.mean(axis=1)
        labels = blend_labels(batch.labels, others, kept, self.classes, self.name)
        return Batch({**batch.feeds, images.name: mixed}, labels)

    def with_classes(self, count: int | None) -> Cutmix:
        return self if self.classes else self.model_copy(update={"classes": count})
