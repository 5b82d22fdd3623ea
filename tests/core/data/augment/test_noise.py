from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.data.augment import Noise
from onnxpress.data.batch import Batch
from onnxpress.errors import UsageError
from tests.core.data.augment.batches import changed


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(20_000,), (100, 200), (10, 20, 100)])
def test_noise_is_normal_with_its_standard_deviation(shape: tuple[int, ...], dtype: Any) -> None:
    added = changed(Noise(std=0.5), Batch({"x": np.zeros(shape, dtype)}))
    assert added.dtype == dtype
    assert added.astype(float).mean() == pytest.approx(0, abs=0.02)
    assert added.astype(float).std() == pytest.approx(0.5, rel=0.02)
    assert (np.abs(added) > 1).mean() == pytest.approx(0.0455, abs=0.006)  # two sigma


def test_only_floats_can_be_noisy() -> None:
    with pytest.raises(UsageError, match=r"changes floats.* 'ids' is int64\[2, 3\]"):
        Noise().apply(Batch({"ids": np.zeros((2, 3), np.int64)}), np.random.default_rng(0))
