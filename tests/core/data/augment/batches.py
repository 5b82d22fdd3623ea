"""Batches to augment."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxpress.data.augment import Augmentation
from onnxpress.data.batch import Array, Batch

NHWC = (0, 2, 3, 1)


def images(count: int = 8, channels: int = 3, size: int = 6, dtype: Any = np.float32) -> Batch:
    """Make channel-first images whose pixels all differ, and their class indices."""
    shape = (count, channels, size, size + 1)
    pixels = np.random.default_rng(7).permutation(np.prod(shape)).reshape(shape) + 1
    return Batch({"x": (pixels / pixels.size).astype(dtype)}, np.arange(count) % 3)


def turned(batch: Batch) -> Batch:
    """Make the images of a batch channel-last."""
    return Batch({"x": np.ascontiguousarray(batch.feeds["x"].transpose(NHWC))}, batch.labels)


def changed(augmentation: Augmentation, batch: Batch, seed: int = 0) -> Array:
    """Return the images after an augmentation."""
    return augmentation.apply(batch, np.random.default_rng(seed)).feeds["x"]
