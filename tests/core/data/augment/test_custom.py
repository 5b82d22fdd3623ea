from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.data.augment import read_augmentations
from onnxpress.data.batch import Array, Batch
from onnxpress.errors import DataError
from tests.core.data.augment.batches import images


def applied(function: Any, batch: Batch | None = None) -> Batch:
    (augmentation,) = read_augmentations(function)
    return augmentation.apply(batch or images(), np.random.default_rng(0))


def test_feeds_labels_and_chance_are_handed_over() -> None:
    def mine(feeds: dict[str, Array], labels: Array, rng: np.random.Generator) -> Any:
        return {"x": feeds["x"] * 0 + rng.random()}, labels + 1

    after = applied(mine)
    np.testing.assert_allclose(after.feeds["x"], np.random.default_rng(0).random(), rtol=1e-6)
    np.testing.assert_array_equal(after.labels, images().labels + 1)  # type: ignore[operator]


def test_arrays_may_be_changed_in_place_and_the_batch_stays() -> None:
    def mine(feeds: dict[str, Array], labels: Array, _rng: object) -> Any:
        feeds["x"][:] = 0
        labels[:] = 0
        return feeds, labels

    batch = images()
    assert not applied(mine, batch).feeds["x"].any()
    np.testing.assert_array_equal(batch.feeds["x"], images().feeds["x"])
    np.testing.assert_array_equal(batch.labels, images().labels)


def test_double_arithmetic_is_brought_back_to_the_type_of_the_input() -> None:
    after = applied(lambda feeds, labels, _: ({"x": feeds["x"] + np.zeros(1)}, labels))
    assert after.feeds["x"].dtype == np.float32


X = np.zeros((8, 3, 6, 7), np.float32)
WRONG: list[tuple[Any, str]] = [
    (lambda f, _l, _r: f, "returned dict; it must return a tuple of feeds"),
    (lambda f, y, _r: (f["x"], y), "returned tuple; it must return a tuple of feeds"),
    (lambda _f, y, _r: ({"y": X}, y), "returned inputs y; the model has x"),
    (lambda _f, y, _r: ({"x": X[:5]}, y), r"input 'x' is float32\[5, 3, 6, 7\] where float32\[8,"),
    (lambda _f, y, _r: ({"x": X[0]}, y), r"input 'x' is float32\[3, 6, 7\] where"),
    (lambda _f, y, _r: ({"x": X * 1j}, y), "input 'x' is complex"),
    (lambda _f, y, _r: ({"x": X / 0}, y), "input 'x' is NaN at"),
    (lambda f, y, _r: (f, y[:3]), r"labels are int64\[3\], and the batch has 8 samples"),
    (lambda f, _l, _r: (f, None), "labels are None, and the batch has 8 samples"),
    (lambda f, y, _r: (f["z"], y), "failed: KeyError: 'z'"),
]


@pytest.mark.parametrize(("function", "message"), WRONG)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_a_function_does_wrong_is_said(function: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"augmentation .*<lambda>.*{message}"):
        applied(function)
