from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.data.order import balanced, class_of_each
from onnxpress.errors import UsageError

CLASSES = np.repeat([4, 7, 9], [70, 25, 5])


def test_every_class_comes_equally_often() -> None:
    order = balanced(CLASSES, np.random.default_rng(0))
    assert len(order) == 100
    counts = np.unique(CLASSES[order], return_counts=True)[1]
    assert sorted(counts) == [33, 33, 34]
    assert set(np.diff(CLASSES[order])) > {0, 3, 5, -3, -5}  # mixed, not class by class


def test_samples_of_a_class_take_turns() -> None:
    times = np.bincount(balanced(CLASSES, np.random.default_rng(0)), minlength=100)
    for of_class in np.split(times, [70, 95]):
        assert np.ptp(of_class) <= 1


def test_other_samples_are_left_out_every_time() -> None:
    rng = np.random.default_rng(0)
    seen = np.unique(np.concatenate([balanced(CLASSES, rng) for _ in range(20)]))
    np.testing.assert_array_equal(seen, np.arange(100))


def test_the_odd_sample_does_not_always_go_to_the_same_class() -> None:
    rng = np.random.default_rng(0)
    largest = {
        int(np.bincount(CLASSES[balanced(CLASSES, rng)], minlength=10).argmax()) for _ in range(30)
    }
    assert largest == {4, 7, 9}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([3, 1], np.uint8), [3, 1]),
        (np.array([[3], [1]]), [3, 1]),
        (np.array([True, False]), [1, 0]),
        (np.array([[0.1, 0.9], [1, 0]]), [1, 0]),
    ],
)
def test_classes_are_read_from_indices_and_rows(labels: Any, classes: list[int]) -> None:
    found = class_of_each(labels, "a.npz")
    assert found.tolist() == classes
    assert found.dtype == np.int64


@pytest.mark.parametrize("labels", [np.zeros(3), np.zeros((3, 1)), np.zeros((3, 2, 2), int)])
def test_what_is_no_class_can_not_be_balanced(labels: Any) -> None:
    with pytest.raises(UsageError, match=r"needs class labels, and those of a\.npz are .*\[3"):
        class_of_each(labels, "a.npz")
