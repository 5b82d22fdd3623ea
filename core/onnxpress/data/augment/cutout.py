"""`Cutout`: a square of every image blotted out (DeVries and Taylor, arXiv 1708.04552)."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from pydantic import Field

from onnxpress.data.augment.augmentation import Augmentation
from onnxpress.data.augment.inputs import boxes, find_images
from onnxpress.data.batch import Batch
from onnxpress.data.options import Layout


@final
class Cutout(Augmentation):
    """Set a square of every image to one value.

    Its middle may be any pixel, so that it may lie partly outside, as in the paper.
    """

    name: ClassVar[str] = "cutout"

    size: int = Field(default=8, ge=1, description="the side of the square in pixels")
    value: float = Field(default=0.0, description="the value put there, as the model is fed it")
    p: float = Field(default=1.0, ge=0, le=1, description="the share of images that are cut")
    input: str | None = Field(default=None, description="the input to change, if several could be")
    layout: Layout | None = Field(default=None, description="where channels are, if not clear")

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        images = find_images(batch, self.input, self.layout, self.name)
        sizes = np.where(rng.random(batch.size) < self.p, self.size, 0)
        rows, columns = (
            boxes(rng.integers(side, size=batch.size), sizes, side) for side in images.sides
        )
        inside = images.along(rows, images.height) & images.along(columns, images.width)
        cut = images.array.copy()
        np.copyto(cut, images.array.dtype.type(self.value), where=inside)
        return Batch({**batch.feeds, images.name: cut}, batch.labels)
