"""`Crop`: images moved by a few pixels."""

from __future__ import annotations

from typing import ClassVar, Literal, final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import Field

from onnxpress.data.augment.augmentation import Augmentation
from onnxpress.data.augment.inputs import Images, find_images, refuse_pixel_labels
from onnxpress.data.batch import Array, Batch
from onnxpress.data.options import Layout


@final
class Crop(Augmentation):
    """Pad images on all sides, then cut out a window of the old size at a random place.

    Padding comes after preparation: its 0 is black only where no mean was taken out;
    else it is the mean colour, which is as good.
    """

    name: ClassVar[str] = "crop"

    padding: int = Field(default=4, ge=1, description="pixels added on each side")
    mode: Literal["constant", "reflect"] = Field(
        default="constant", description="whether padding is one value, or the image mirrored"
    )
    value: float = Field(default=0.0, description="the value of padding, as the model is fed it")
    input: str | None = Field(default=None, description="the input to change, if several could be")
    layout: Layout | None = Field(default=None, description="where channels are, if not clear")

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        refuse_pixel_labels(batch.labels, self.name)
        images = find_images(batch, self.input, self.layout, self.name)
        tops, lefts = rng.integers(0, 2 * self.padding, (2, batch.size), endpoint=True)
        windows = _windows(self._padded(images), images)
        cropped = np.ascontiguousarray(windows[np.arange(batch.size), tops, lefts])
        return Batch({**batch.feeds, images.name: cropped}, batch.labels)

    def _padded(self, images: Images) -> Array:
        added = [(0, 0)] * images.array.ndim
        added[images.height] = added[images.width] = (self.padding, self.padding)
        if self.mode == "reflect":
            return np.pad(images.array, added, "reflect")
        shape = [size + sum(more) for size, more in zip(images.array.shape, added, strict=True)]
        padded = np.full(shape, self.value, images.array.dtype)
        inner = [slice(before, -after or None) for before, after in added]
        padded[tuple(inner)] = images.array
        return padded


def _windows(padded: Array, images: Images) -> Array:
    """Return a view of all places: ``(samples, tops, lefts, *the axes of one image)``."""
    places = (images.height, images.width)
    views = sliding_window_view(padded, images.sides, places)  # heights and widths come last
    ordered = np.moveaxis(views, places, (1, 2))  # samples, tops, lefts, channels, height, width
    return np.moveaxis(ordered, 3, 2 + images.channel)
