"""One image file as an array of pixels, by Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.data.batch import Array
from onnxpress.errors import DataError, OnnxpressError, UsageError

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Fitting:
    """What an image must become.

    Attributes:
        size: Height and width in pixels.
        channels: 1 for grey, 3 for RGB.
        shorter: The shorter side after scaling; None takes just enough to cover `size`.
        crop: Whether images of another size are scaled and cropped, not refused.
    """

    size: tuple[int, int]
    channels: int
    shorter: int | None
    crop: bool


def decode(path: Path, fitting: Fitting) -> Array:
    """Return the pixels: uint8, ``(height, width)`` for grey, ``(height, width, 3)`` for RGB.

    As torchvision's ImageFolder does, it follows no EXIF orientation and drops alpha.

    Raises:
        DataError: If the file is no image of 8 bits a channel, or has the wrong size.
        UsageError: If Pillow is not installed.
    """
    with _opened(path) as image:
        if image.mode[0] in "IF":
            raise DataError(f"{path} has more than 8 bits a channel; convert it to 8")
        plain = image.convert("L" if fitting.channels == 1 else "RGB")
        return np.asarray(
            _scale_and_crop(plain, fitting) if fitting.crop else _same(plain, fitting, path)
        )


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width; reads the header only."""
    with _opened(path) as image:
        return image.height, image.width


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError("reading images needs Pillow: pip install 'onnxpress[images]'") from error
    try:
        with Image.open(path) as image:
            yield image
    except OnnxpressError:
        raise
    except Exception as error:  # a damaged image can make Pillow raise nearly anything
        raise DataError(f"{path} is no readable image: {error}") from error


def _same(image: Image.Image, fitting: Fitting, path: Path) -> Image.Image:
    height, width = fitting.size
    if (image.height, image.width) != fitting.size:
        raise DataError(
            f"{path} is {image.height} × {image.width} pixels where {height} × {width} are wanted; "
            f"add size={height},{width} to scale and crop all images"
        )
    return image


def _scale_and_crop(image: Image.Image, fitting: Fitting) -> Image.Image:
    """Scale both sides by one factor until `size` is covered, then cut out the middle."""
    from PIL import Image

    height, width = fitting.size
    factor = max(height / image.height, width / image.width)
    if fitting.shorter is not None:
        factor = max(factor, fitting.shorter / min(image.height, image.width))
    sides = max(width, round(image.width * factor)), max(height, round(image.height * factor))
    if sides != image.size:
        image = image.resize(sides, Image.Resampling.BILINEAR)
    left, top = (sides[0] - width) // 2, (sides[1] - height) // 2
    return image.crop((left, top, left + width, top + height))
