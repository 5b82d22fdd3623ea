from __future__ import annotations

import numpy as np

from onnxpress.data.augment import Cutout
from tests.core.data.augment.batches import changed, images, turned


def test_a_square_of_every_image_is_blotted_out_on_all_channels() -> None:
    batch = images(200, size=9)
    x, after = batch.feeds["x"], changed(Cutout(size=4, value=-1), batch)
    cut = (after == -1).all(axis=1)
    np.testing.assert_array_equal(after, np.where(cut[:, None], np.float32(-1), x))
    for mask in cut:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask.sum() == rows.size * columns.size  # a box
        assert np.ptp(rows) == rows.size - 1
        assert 2 <= rows.size <= 4  # less than 4 only where the edge cuts it off
        assert rows.size == 4 or rows[0] == 0 or rows[-1] == 8
    assert cut.any(axis=0).all()


def test_a_share_of_images_is_cut() -> None:
    batch = images(400)
    hit = (changed(Cutout(size=2, value=-1, p=0.25), batch) == -1).any(axis=(1, 2, 3))
    assert 70 < hit.sum() < 130


def test_channel_last_images_are_cut_at_the_same_places() -> None:
    batch = images(50)
    expected = changed(Cutout(size=3), batch).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(changed(Cutout(size=3), turned(batch)), expected)


def test_a_square_larger_than_the_image_leaves_nothing() -> None:
    assert not changed(Cutout(size=40), images()).any()
