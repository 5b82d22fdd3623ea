from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from onnxpress.data.augment import Crop
from onnxpress.data.batch import Array
from tests.core.data.augment.batches import changed, images, turned


def windows(padded: Array, shape: tuple[int, ...]) -> list[Array]:
    """Return every window of an image, by plain slices."""
    height, width = shape[-2:]
    rows, columns = padded.shape[-2] - height + 1, padded.shape[-1] - width + 1
    return [
        padded[:, top : top + height, left : left + width]
        for top in range(rows)
        for left in range(columns)
    ]


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_each_image_is_one_of_the_windows_of_its_padded_self(
    mode: Literal["constant", "reflect"],
) -> None:
    batch = images(300)
    x, cropped = batch.feeds["x"], changed(Crop(padding=2, mode=mode), batch)
    padded = np.pad(x, [(0, 0), (0, 0), (2, 2), (2, 2)], mode)
    taken = []
    for before, after in zip(padded, cropped, strict=True):
        found = [i for i, w in enumerate(windows(before, x.shape)) if np.array_equal(w, after)]
        assert len(found) == 1
        taken += found
    assert set(taken) == set(range(25))  # every place, in 300 draws of 25


def test_padding_has_the_value_that_is_asked_for() -> None:
    batch = images(50)
    values = set(changed(Crop(padding=3, value=-9), batch).ravel()) - set(batch.feeds["x"].ravel())
    assert values == {-9}


def test_channel_last_images_are_cut_at_the_same_places() -> None:
    batch = images(50)
    after = changed(Crop(padding=3), turned(batch))
    np.testing.assert_array_equal(after, changed(Crop(padding=3), batch).transpose(0, 2, 3, 1))
    assert after.flags.c_contiguous
