from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from onnxpress.data.checks import check_finite, check_labels
from onnxpress.errors import DataError


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize(
    ("value", "word"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "inf")]
)
def test_the_first_bad_value_is_named(dtype: Any, value: float, word: str) -> None:
    array = np.zeros((4, 3), dtype)
    array[2, 1] = array[3, 0] = value
    with pytest.raises(DataError, match=rf"batch 5 is {word}.* at \[2, 1\] .* 1 other places"):
        check_finite(array, "batch 5")


def test_large_values_whose_sum_overflows_are_fine() -> None:
    check_finite(np.full((100, 100), 3e38, np.float32), "batch")
    check_finite(np.full((100, 100), 60000, np.float16), "batch")
    check_finite(np.array([[3e38, -3e38]], np.float32), "batch")


def test_integers_are_always_fine() -> None:
    check_finite(np.zeros((2, 2), np.uint8), "batch")


def test_labels_must_be_numbers_and_as_many_as_samples() -> None:
    check_labels(np.zeros(4), 4, "labels")
    with pytest.raises(DataError, match="labels does not fit: 3 labels for 4 samples"):
        check_labels(np.zeros(3), 4, "labels")
    with pytest.raises(DataError, match="a single value labels for 4 samples"):
        check_labels(np.array(1), 4, "labels")
    with pytest.raises(DataError, match="labels is <U3, and labels are class indices"):
        check_labels(np.array(["cat", "dog"]), 2, "labels")
