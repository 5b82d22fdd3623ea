"""`Flip`: images as in a mirror."""

from __future__ import annotations

from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field

from onnxpress.data.augment.augmentation import Augmentation
from onnxpress.data.augment.inputs import find_images, refuse_pixel_labels
from onnxpress.data.batch import Batch
from onnxpress.data.options import Layout


@final
class Flip(Augmentation):
    """Turn images round, left to right or top to bottom.

    Labels stay: leave it out where left and right matter, as with digits and text.
    """

    name: ClassVar[str] = "flip"

    axis: Literal["horizontal", "vertical"] = Field(
        default="horizontal", description="horizontal swaps left and right, vertical top and bottom"
    )
    p: float = Field(default=0.5, ge=0, le=1, description="the share of images that are flipped")
    input: str | None = Field(default=None, description="the input to change, if several could be")
    layout: Layout | None = Field(default=None, description="where channels are, if not clear")

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        refuse_pixel_labels(batch.labels, self.name)
        images = find_images(batch, self.input, self.layout, self.name)
        chosen = np.flatnonzero(rng.random(batch.size) < self.p)
        axis = images.width if self.axis == "horizontal" else images.height
        flipped = images.array.copy()
        flipped[chosen] = np.flip(images.array[chosen], axis)
        return Batch({**batch.feeds, images.name: flipped}, batch.labels)
