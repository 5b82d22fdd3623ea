from __future__ import annotations

import numpy as np

from onnxpress.data.augment import Cutmix
from onnxpress.data.batch import Batch
from tests.core.data.augment.batches import changed, images, turned


def test_labels_are_blended_by_the_area_that_each_image_has() -> None:
    # Every pixel of image i is i, so that pixels tell whose they are.
    count = 60
    x = np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None, None], (count, 3, 9, 7))
    batch = Batch({"x": x}, np.arange(count))
    after = Cutmix(classes=count).apply(batch, np.random.default_rng(0))
    assert after.labels is not None
    areas = np.stack([(after.feeds["x"] == i).mean(axis=(1, 2, 3)) for i in range(count)], axis=1)
    np.testing.assert_allclose(after.labels, areas, atol=1e-6)
    assert 0.2 < np.diag(areas).mean() < 0.9
    assert ((areas > 0).sum(axis=1) <= 2).all()


def test_what_is_put_in_is_a_box_from_the_same_place() -> None:
    batch = images(80, size=9)
    x, after = batch.feeds["x"], changed(Cutmix(classes=3), batch)
    for index, image in enumerate(after):
        foreign = (image != x[index]).any(axis=0)
        rows, columns = np.flatnonzero(foreign.any(axis=1)), np.flatnonzero(foreign.any(axis=0))
        assert foreign.sum() == rows.size * columns.size
        if foreign.any():
            assert (x[:, :, foreign] == image[:, foreign]).all(axis=(1, 2)).sum() == 1


def test_channel_last_images_are_mixed_at_the_same_places() -> None:
    batch = images(50)
    expected = changed(Cutmix(classes=3), batch).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(changed(Cutmix(classes=3), turned(batch)), expected)
    assert Cutmix().with_classes(4).classes == 4
    assert Cutmix(classes=3).with_classes(4).classes == 3
