from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onnxpress import differences
from onnxpress.data.batch import Array
from onnxpress.differences import Difference, Gatherer
from tests.graphs import normal


def difference(*pairs: tuple[object, object]) -> Difference:
    gatherer = Gatherer("t", "Relu")
    for a, b in pairs:
        gatherer.add(a, b)
    return gatherer.result()


def plain(a: Array, b: Array) -> dict[str, Any]:
    """Return the figures by their definitions, in one go."""
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    noise = np.linalg.norm(b - a)
    return {
        "max_abs": np.abs(b - a).max(),
        "relative_l2": noise / np.linalg.norm(a),
        "cosine": a @ b / np.linalg.norm(a) / np.linalg.norm(b),
        "sqnr_db": 20 * np.log10(np.linalg.norm(a) / noise),
        "unequal": np.mean(a != b),
    }


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int64"])
def test_figures_are_what_their_names_say(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "_BLOCK", 7)
    a, b = (50 * normal(6, 11)).astype(dtype), (50 * normal(6, 11, seed=1)).astype(dtype)
    found = difference((a, b))
    for name, value in plain(a, b).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-9), name
    assert (found.not_finite, found.other_shape, found.op_type) == (0, 0, "Relu")


def test_batches_add_up() -> None:
    a, b = normal(9, 5), normal(9, 5, seed=1)
    whole, parts = difference((a, b)), difference((a[:2], b[:2]), (a[2:], b[2:]))
    assert parts.max_abs == whole.max_abs
    assert parts.cosine == pytest.approx(whole.cosine)
    assert parts.top1_agreement == whole.top1_agreement


def test_equal_tensors() -> None:
    found = difference((normal(3, 4), normal(3, 4)))
    assert (found.max_abs, found.relative_l2, found.sqnr_db, found.unequal) == (0, 0, None, 0)
    assert found.cosine == pytest.approx(1)
    assert found.top1_agreement == 1


@pytest.mark.parametrize(
    ("a", "b", "relative", "cosine", "sqnr"),
    [
        ([0.0], [0.0], 0.0, None, None),
        ([0.0], [1.0], None, None, -math.inf),
        ([1.0], [0.0], 1.0, None, 0.0),
    ],
)
def test_zeros(a: list[float], b: list[float], relative: Any, cosine: Any, sqnr: Any) -> None:
    found = difference((np.array(a), np.array(b)))
    assert (found.relative_l2, found.cosine, found.sqnr_db) == (relative, cosine, sqnr)


def test_small_differences_of_large_numbers() -> None:
    a = np.full(1_000_000, 1e4, np.float32)
    b = a.copy()
    b[0] += 1
    assert difference((a, b)).relative_l2 == pytest.approx(1e-7, rel=1e-3)


def test_what_is_not_finite() -> None:
    a = np.array([1, np.nan, np.inf, -np.inf, 2, 3])
    b = np.array([1, np.nan, np.inf, np.inf, np.nan, 4])
    found = difference((a, b))
    assert found.not_finite == 1
    assert found.unequal == 3 / 6
    assert found.max_abs == 1
    assert found.relative_l2 == pytest.approx(1 / math.sqrt(10))


def test_top1() -> None:
    a = np.array([[1, 2], [2, 1], [0, 3]])
    b = np.array([[0, 9], [0, 1], [0, 3]])
    assert difference((a, b)).top1_agreement == 2 / 3
    assert difference((a[:, :1], b[:, :1])).top1_agreement is None
    assert difference((a[0], b[0])).top1_agreement is None


def test_shapes_that_differ() -> None:
    found = difference((normal(3), normal(4)), (normal(2), normal(2)))
    assert (found.other_shape, found.max_abs) == (1, 0)


def test_text_and_other_things() -> None:
    found = difference((np.array(["a", "b"]), np.array(["a", "c"])), ([{1: 0.5}], [{1: 0.5}]))
    assert found.unequal == 1 / 3
    assert found.max_abs == 0


def test_scalars_and_empty_tensors() -> None:
    assert difference((np.array(1.0), np.array(3.0))).max_abs == 2
    assert difference((np.zeros((0, 3)), np.zeros((0, 3)))).unequal == 0
