"""Which input of a batch is changed, and which axes of it are what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from onnxpress.data.batch import Array, Batch
from onnxpress.data.options import Layout
from onnxpress.data.signature import is_float
from onnxpress.errors import UnknownNameError, UsageError

_IMAGE_AXES: Final = 4
_CHANNELS: Final = frozenset({1, 3})  # of images made for people; anything else is channel-first
_PIXEL_LABELS: Final = 3  # axes: samples, height, width


class Images(NamedTuple):
    """The input of a batch that holds images.

    Attributes:
        name: The name of the input.
        array: The images.
        channel: The axis of the channels.
        height: The axis of the rows of pixels.
        width: The axis of their columns.
    """

    name: str
    array: Array
    channel: int
    height: int
    width: int

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.array.shape[self.height], self.array.shape[self.width]

    def along(self, values: Array, *axes: int) -> Array:
        """Give an array of ``(samples, one axis for each of axes…)`` the axes of the images."""
        shape = [1] * self.array.ndim
        for size, axis in zip(values.shape, (0, *axes), strict=True):
            shape[axis] = size
        return values.reshape(shape)


def find_images(batch: Batch, asked: str | None, layout: Layout | None, who: str) -> Images:
    """Return the input asked for, or the only one that may hold images: floats with 4 axes.

    Channels are the axis that `layout` says, else the last where only that has 1 or 3
    entries, else the second.

    Raises:
        UsageError: If there is none, or several; lists types and shapes.
        UnknownNameError: If there is no input called `asked`.
    """
    name = _find(batch.feeds, asked, f"{who} changes images (floats with 4 axes)", _IMAGE_AXES)
    array = batch.feeds[name]
    last = layout == "nhwc" if layout else _channel_last(array.shape)
    return Images(name, array, *((3, 1, 2) if last else (1, 2, 3)))


def find_floats(batch: Batch, asked: str | None, who: str) -> str:
    """Return the name of the input asked for, or of the only one that holds floats.

    Raises:
        UsageError: If there is none, or several; lists types and shapes.
        UnknownNameError: If there is no input called `asked`.
    """
    return _find(batch.feeds, asked, f"{who} changes floats", None)


def refuse_pixel_labels(labels: Array | None, who: str) -> None:
    """Refuse to move pixels whose labels would have to be moved with them.

    Raises:
        UsageError: If labels have 3 axes or more.
    """
    if labels is not None and labels.ndim >= _PIXEL_LABELS:
        raise UsageError(
            f"{who} moves pixels, and labels {described(labels)} seem to belong to pixels or "
            "places, which it does not move; write a callable that moves both"
        )


def described(array: Array) -> str:
    """Return type and shape, for errors."""
    return f"{array.dtype}{list(array.shape)}"


def boxes(centres: Array, sizes: Array, length: int) -> Array:
    """Return which of `length` places along a side are in each sample's box.

    Args:
        centres: The middle of each box: the place before which its second half begins.
        sizes: How many places each takes; what is over the edge is cut off.
        length: The length of the side.

    Returns:
        Truth values, ``(samples, length)``.
    """
    begin = (centres - sizes // 2)[:, None]
    place = np.arange(length)
    inside: Array = (place >= begin) & (place < begin + sizes[:, None])
    return inside


def _channel_last(shape: tuple[int, ...]) -> bool:
    return shape[1] not in _CHANNELS and shape[3] in _CHANNELS


def _find(feeds: Mapping[str, Array], asked: str | None, does: str, axes: int | None) -> str:
    if asked is not None and asked not in feeds:
        raise UnknownNameError("input", asked, feeds)
    looked_at = [asked] if asked else list(feeds)
    fitting = [
        name
        for name in looked_at
        if is_float(feeds[name].dtype) and axes in {None, feeds[name].ndim}
    ]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(f"{name!r} is {described(feeds[name])}" for name in fitting or looked_at)
    if not fitting:
        raise UsageError(f"{does}, and there are none: {listed}")
    raise UsageError(f"{does}, and several inputs hold some: {listed}; add input={fitting[0]}")
