from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import pytest

from onnxpress.data.augment import Flip
from onnxpress.data.batch import Batch
from tests.core.data.augment.batches import changed, images, turned

Axis: TypeAlias = Literal["horizontal", "vertical"]


@pytest.mark.parametrize(("axis", "where"), [("horizontal", 3), ("vertical", 2)])
def test_all_images_are_mirrored(axis: Axis, where: int) -> None:
    batch = images()
    flipped = changed(Flip(axis=axis, p=1), batch)
    np.testing.assert_array_equal(flipped, np.flip(batch.feeds["x"], where))


def test_a_share_of_images_is_mirrored_and_the_others_stay() -> None:
    batch = images(400)
    x, flipped = batch.feeds["x"], changed(Flip(p=0.25), batch)
    same = (flipped == x).all(axis=(1, 2, 3))
    mirrored = (flipped == x[..., ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 70 < mirrored.sum() < 130
    np.testing.assert_array_equal(changed(Flip(p=0), batch), x)


def test_channel_last_images_are_mirrored_along_the_same_side() -> None:
    batch = images()
    expected = changed(Flip(), batch).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(changed(Flip(), turned(batch)), expected)


def test_labels_stay() -> None:
    batch = images()
    after = Flip(p=1).apply(batch, np.random.default_rng(0))
    np.testing.assert_array_equal(after.labels, batch.labels)
    assert Flip(p=1).apply(Batch(batch.feeds), np.random.default_rng(0)).labels is None
