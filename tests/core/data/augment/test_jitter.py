from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.data.augment import Jitter
from onnxpress.errors import UsageError
from tests.core.data.augment.batches import changed, images, turned

SIDES = (2, 3)


def test_brightness_adds_one_number_to_every_image() -> None:
    batch = images(200)
    added = changed(Jitter(brightness=0.3), batch) - batch.feeds["x"]
    np.testing.assert_allclose(np.ptp(added, axis=(1, 2, 3)), 0, atol=1e-6)
    each = added[:, 0, 0, 0]
    assert -0.3 <= each.min() < -0.28
    assert 0.28 < each.max() <= 0.3


def test_contrast_spreads_values_around_the_mean_of_each_channel() -> None:
    batch = images(200)
    x, after = batch.feeds["x"], changed(Jitter(contrast=0.4), batch)
    np.testing.assert_allclose(after.mean(axis=SIDES), x.mean(axis=SIDES), atol=1e-6)
    factors = after.std(axis=SIDES) / x.std(axis=SIDES)
    np.testing.assert_allclose(np.ptp(factors, axis=1), 0, atol=1e-5)
    assert 0.6 <= factors.min() < 0.62
    assert 1.38 < factors.max() <= 1.4001


def test_saturation_keeps_the_grey_of_every_pixel() -> None:
    batch = images(50)
    luma = np.array([0.299, 0.587, 0.114])
    x, after = batch.feeds["x"], changed(Jitter(saturation=1), batch)
    grey = np.einsum("nchw,c->nhw", x, luma)
    np.testing.assert_allclose(np.einsum("nchw,c->nhw", after, luma), grey, atol=1e-6)
    factors = (after - grey[:, None]) / (x - grey[:, None])
    np.testing.assert_allclose(factors, factors[:, :1, :1, :1] * np.ones_like(x), atol=1e-2)
    assert factors[:, 0, 0, 0].max() > 1.8


def test_it_works_alike_before_and_after_normalisation() -> None:
    batch = images(20)
    normal = batch._replace(feeds={"x": (batch.feeds["x"] - np.float32(0.4)) / np.float32(0.25)})
    raw = changed(Jitter(brightness=0.1, contrast=0.5, saturation=0.5), batch)
    after = changed(Jitter(brightness=0.4, contrast=0.5, saturation=0.5), normal)
    np.testing.assert_allclose(after, (raw - 0.4) / 0.25, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_channel_last_images_change_alike(dtype: Any) -> None:
    batch = images(dtype=dtype)
    jitter = Jitter(brightness=0.2, contrast=0.2, saturation=0.2)
    expected, after = changed(jitter, batch).transpose(0, 2, 3, 1), changed(jitter, turned(batch))
    assert after.dtype == dtype
    np.testing.assert_allclose(after, expected, atol=2e-3 if dtype == np.float16 else 1e-6)


def test_saturation_needs_colours() -> None:
    with pytest.raises(UsageError, match=r"saturation needs 3 channels, and input 'x' is float32"):
        changed(Jitter(saturation=0.1), images(channels=1))
    changed(Jitter(brightness=0.1, contrast=0.1), images(channels=1))
