from __future__ import annotations

import numpy as np
import pytest

from onnxpress.data.augment import Mixup
from onnxpress.data.batch import Batch
from onnxpress.errors import UsageError

EYE = np.eye(50, dtype=np.float32)


def mixed(batch: Batch, alpha: float = 1.0) -> Batch:
    return Mixup(alpha=alpha, classes=50).apply(batch, np.random.default_rng(0))


def test_samples_and_labels_are_blended_with_the_same_shares() -> None:
    after = mixed(Batch({"x": EYE}, np.arange(50)))
    np.testing.assert_allclose(after.feeds["x"], after.labels, atol=1e-6)  # type: ignore[arg-type]
    np.testing.assert_allclose(after.feeds["x"].sum(axis=1), 1, atol=1e-6)
    own, others = np.diag(after.feeds["x"]), (after.feeds["x"] > 0).sum(axis=1)
    assert set(others) <= {1, 2}
    assert np.unique(own.round(6)).size > 40  # a share for every sample


def test_all_inputs_are_blended_with_the_same_sample() -> None:
    after = mixed(Batch({"a": EYE, "b": EYE[:, :, None, None]}))
    np.testing.assert_allclose(after.feeds["a"], after.feeds["b"][:, :, 0, 0], atol=1e-6)
    assert after.labels is None


def test_a_small_alpha_leaves_samples_mostly_as_they_are() -> None:
    def pure(alpha: float) -> int:
        return int((mixed(Batch({"x": EYE}), alpha).feeds["x"].max(axis=1) > 0.99).sum())

    assert pure(0.05) > 35
    assert pure(1.0) < 15


def test_float_labels_are_blended_as_they_are() -> None:
    after = Mixup().apply(Batch({"x": EYE}, EYE), np.random.default_rng(0))
    np.testing.assert_allclose(after.labels, after.feeds["x"], atol=1e-6)  # type: ignore[arg-type]


def test_what_is_not_a_float_can_not_be_blended() -> None:
    batch = Batch({"x": EYE, "ids": np.zeros((50, 7), np.int64)})
    with pytest.raises(UsageError, match=r"input 'ids' is int64\[50, 7\]"):
        mixed(batch)


def test_the_number_of_classes_may_come_from_outside() -> None:
    assert Mixup().with_classes(10) == Mixup(classes=10)
    assert Mixup(classes=3).with_classes(10) == Mixup(classes=3)
