from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.data.augment.labels import blend, blend_labels
from onnxpress.errors import DataError, UsageError

OTHERS, SHARES = np.array([1, 0]), np.array([0.75, 1.0])


def blended(labels: Any, classes: int | None = 3) -> Any:
    result = blend_labels(np.asarray(labels), OTHERS, SHARES, classes, "mixup")
    assert result is not None
    return result.tolist()


def test_each_sample_has_its_own_share() -> None:
    mixed = blend(np.array([[1.0], [5.0]]), OTHERS, SHARES)
    assert mixed.tolist() == [[2.0], [5.0]]


@pytest.mark.parametrize("labels", [[0, 2], [[0], [2]], [[1, 0, 0], [0, 0, 1]]])
def test_class_indices_and_one_hot_rows_become_the_same_probabilities(labels: Any) -> None:
    assert blended(labels) == [[0.75, 0, 0.25], [0, 0, 1]]


def test_a_single_class_is_a_yes_or_no() -> None:
    assert blended([1, 0], classes=1) == [0.75, 0]
    assert blended([True, False], classes=1) == [0.75, 0]


def test_floats_need_no_number_of_classes() -> None:
    assert blended([4.0, 8.0], classes=None) == [5, 8]


def test_labels_that_can_not_be_probabilities_are_refused() -> None:
    with pytest.raises(UsageError, match="how many classes there are; write mixup:classes=10"):
        blended([0, 2], classes=None)
    with pytest.raises(DataError, match="label 3 is out of range: mixup has classes=3"):
        blended([0, 3])
    with pytest.raises(DataError, match="label -1 is out of range"):
        blended([-1, 1])
    with pytest.raises(UsageError, match=r"3 probabilities for every sample.* are int64\[2, 2\]"):
        blended([[0, 1], [1, 0]])
