"""`Jitter`: images brighter or darker, greyer or more colourful."""

from __future__ import annotations

from typing import ClassVar, Final, final

import numpy as np
from pydantic import Field

from onnxpress.data.augment.augmentation import Augmentation
from onnxpress.data.augment.inputs import Images, described, find_images
from onnxpress.data.batch import Array, Batch
from onnxpress.data.options import Layout
from onnxpress.errors import UsageError

_LUMA: Final = (0.299, 0.587, 0.114)  # the share of red, green and blue in grey (ITU-R BT.601)


@final
class Jitter(Augmentation):
    """Change brightness, contrast and saturation of every image at random.

    The three work alike whatever scale, mean and std the values went through: brightness
    adds to all values, contrast spreads them around the mean of each channel, saturation
    around the grey of each pixel.  Nothing is clipped, because nobody knows the range.
    """

    name: ClassVar[str] = "jitter"

    brightness: float = Field(
        default=0.0, ge=0, description="up to this much is added, in units of what the model is fed"
    )
    contrast: float = Field(
        default=0.0, ge=0, le=1, description="factors are from 1 - this to 1 + this"
    )
    saturation: float = Field(
        default=0.0, ge=0, le=1, description="factors are from 1 - this to 1 + this; for RGB"
    )
    input: str | None = Field(default=None, description="the input to change, if several could be")
    layout: Layout | None = Field(default=None, description="where channels are, if not clear")

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        images = find_images(batch, self.input, self.layout, self.name)
        drawn = rng.uniform(-1, 1, (3, batch.size))
        jittered = images.array.copy()
        if self.saturation:
            _saturate(jittered, images, 1 + self.saturation * drawn[0])
        if self.contrast:
            _spread(jittered, images, 1 + self.contrast * drawn[1])
        if self.brightness:
            jittered += _each(self.brightness * drawn[2], images)
        return Batch({**batch.feeds, images.name: jittered}, batch.labels)


def _each(values: Array, images: Images) -> Array:
    return images.along(values.astype(images.array.dtype))


def _spread(array: Array, images: Images, factors: Array) -> None:
    # m + f·(x - m) = f·x + (1 - f)·m
    sides = (images.height, images.width)
    means = array.mean(axis=sides, dtype=np.float32, keepdims=True).astype(array.dtype)
    array *= _each(factors, images)
    array += means * _each(1 - factors, images)


def _saturate(array: Array, images: Images, factors: Array) -> None:
    # g + f·(x - g) = f·x + (1 - f)·g
    if array.shape[images.channel] != len(_LUMA):
        raise UsageError(
            f"saturation needs 3 channels, and input {images.name!r} is {described(array)} with "
            f"channels on axis {images.channel}"
        )
    channels = [array.take([i], images.channel) for i in range(len(_LUMA))]
    grey = sum(c * array.dtype.type(share) for c, share in zip(channels, _LUMA, strict=True))
    array *= _each(factors, images)
    array += grey * _each(1 - factors, images)
