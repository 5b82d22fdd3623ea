from __future__ import annotations

import numpy as np
import pytest

from onnxpress.measure.difference import Difference


def test_figures_over_batches_are_those_of_all_at_once() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(2, 30, 5)).astype("f")
    difference = Difference()
    for part in (slice(0, 8), slice(8, 30)):
        difference.update({"y": ours[part]}, {"y": theirs[part]})
    found = difference.to_dict()
    gap = ours.astype(float) - theirs
    assert found["relative_l2"] == pytest.approx(np.linalg.norm(gap) / np.linalg.norm(theirs))
    assert found["max_abs"] == pytest.approx(np.abs(gap).max())
    assert found["top1_agreement"] == np.mean(ours.argmax(1) == theirs.argmax(1))
    assert found["not_finite"] == 0


def test_numbers_that_are_not_finite_are_counted_apart() -> None:
    difference = Difference()
    ours, theirs = np.array([1.0, np.nan, np.inf, -np.inf]), np.array([2.0, 1.0, 3.0, -np.inf])
    difference.update({"y": ours}, {"y": theirs})
    found = difference.to_dict()
    assert found["not_finite"] == 2
    assert found["max_abs"] == 1.0
    assert found["top1_agreement"] is None


def test_a_reference_of_zeros_has_no_relative_difference() -> None:
    difference = Difference()
    difference.update({"y": np.ones((2, 3))}, {"y": np.zeros((2, 3))})
    assert difference.to_dict()["relative_l2"] is None
    assert difference.to_dict()["max_abs"] == 1.0
