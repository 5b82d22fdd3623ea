"""A folder of images: one folder for each class, or images side by side without labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from onnxpress.data.batch import Array
from onnxpress.data.columns import Column, Rows
from onnxpress.data.options import Layout, Options
from onnxpress.data.pixels import Fitting, decode, image_size
from onnxpress.data.signature import Dim, Signature
from onnxpress.errors import DataError, UsageError

_SUFFIXES: Final = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
_SHOWN: Final = 3


class ImageFolder(NamedTuple):
    """A folder as columns.

    Attributes:
        images: Pixels, uint8, ``(samples, height, width[, channels])``.
        labels: Indices of the sorted class names, int64; None without class folders.
        layout: How images must be turned to fit the model.
        note: What the classes are.
    """

    images: Column
    labels: Column | None
    layout: Layout | None
    note: str


def open_folder(path: Path, signature: Signature, options: Options) -> ImageFolder:
    """Open ``folder/class_name/*.png`` (labelled) or ``folder/*.png`` (not labelled).

    Labels are the indices of the sorted class names.  Samples take turns: the first of
    every class, the second of every class, …, so that the first N are a fair sample.

    Raises:
        UsageError: If Pillow is not installed, or the model does not take one image.
        DataError: If there are no images, or classes can't be told.
    """
    frame = _frame(signature, options)
    files, labels, note = _list(path)
    size = options.size or frame.size or image_size(files[0])
    fitting = Fitting(size, frame.channels, options.resize, crop=options.size is not None)
    shape = (*size, frame.channels) if frame.channel_axis else size
    load = _Files(files, fitting, shape).part
    images = Column("images", (len(files), *shape), np.dtype(np.uint8), load)
    column = None if labels is None else Column.of("labels", np.asarray(labels, np.int64))
    return ImageFolder(images, column, frame.layout, note)


class _Frame(NamedTuple):
    """What kind of image a model takes."""

    channels: int
    channel_axis: bool
    size: tuple[int, int] | None
    layout: Layout | None


def _frame(signature: Signature, options: Options) -> _Frame:
    if len(signature.inputs) != 1:
        names = ", ".join(signature.names)
        raise UsageError(f"images feed a model with one input, and this one has several: {names}")
    wanted = signature.inputs[0]
    shape = wanted.shape or (None,) * 4
    if len(shape) == 3:  # noqa: PLR2004  (samples, height, width)
        return _Frame(1, channel_axis=False, size=_sizes(shape[1:]), layout=None)
    if len(shape) != 4:  # noqa: PLR2004  (and channels)
        raise UsageError(f"input {wanted.name!r} takes {wanted}, which is no image")
    last = options.layout == "nhwc" if options.layout else _channel_last(shape)
    dim, sides = (shape[3], shape[1:3]) if last else (shape[1], shape[2:4])
    if isinstance(dim, int) and dim not in {1, 3}:
        raise UsageError(
            f"input {wanted.name!r} takes {wanted}, and images have 1 or 3 channels; "
            "give arrays in a .npz file"
        )
    return _Frame(
        1 if dim == 1 else 3,
        channel_axis=True,
        size=_sizes(sides),
        layout=None if last else "nchw",
    )


def _channel_last(shape: Sequence[Dim]) -> bool:
    return shape[1] not in {1, 3} and shape[3] in {1, 3}


def _sizes(dims: Sequence[Dim]) -> tuple[int, int] | None:
    height, width = dims
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _list(path: Path) -> tuple[list[Path], list[int] | None, str]:
    """Return the files in order, their labels, and a note about the classes."""
    folders = sorted(d for d in path.iterdir() if d.is_dir() and not d.name.startswith("."))
    alone = _images(path.iterdir())
    by_class = [_images(folder.rglob("*")) for folder in folders]
    if alone and any(by_class):
        raise DataError(
            f"{path} holds images beside folders of images; put all into class folders, or none"
        )
    if alone:
        return alone, None, ""
    if not any(by_class):
        kinds = ", ".join(sorted(_SUFFIXES))
        raise DataError(f"{path} holds no images ({kinds}), nor folders with images")
    pairs = ([(file, label) for file in files] for label, files in enumerate(by_class))
    taken = [pair for turn in zip_longest(*pairs) for pair in turn if pair is not None]
    return [file for file, _ in taken], [label for _, label in taken], _class_note(folders)


def _images(entries: Iterable[Path]) -> list[Path]:
    return sorted(
        e for e in entries if e.suffix.lower() in _SUFFIXES and not e.name.startswith(".")
    )


def _class_note(folders: Sequence[Path]) -> str:
    named = ", ".join(f"{i} = {folder.name}" for i, folder in enumerate(folders[:_SHOWN]))
    more = ", …" if len(folders) > _SHOWN else ""
    return f"{len(folders)} classes in the order of their names: {named}{more}"


@dataclass(frozen=True, slots=True)
class _Files:
    """Image files that are decoded when rows are taken."""

    files: Sequence[Path]
    fitting: Fitting
    shape: tuple[int, ...]

    def part(self, start: int, stop: int) -> _Files:
        return _Files(self.files[start:stop], self.fitting, self.shape)

    def __getitem__(self, rows: Rows, /) -> Array:
        chosen = self.files[rows] if isinstance(rows, slice) else [self.files[i] for i in rows]
        with ThreadPoolExecutor() as pool:  # decoding runs outside the interpreter's lock
            pixels = list(pool.map(lambda path: decode(path, self.fitting), chosen))
        return np.stack(pixels).reshape(-1, *self.shape)
