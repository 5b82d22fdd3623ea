"""Radix selection agrees with sorting, and the rules that every criterion obeys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.data.batch import Array
from onnxpress_pruning.criteria.criterion import Scores
from onnxpress_pruning.ranking import Cut, find_cut, rank

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def chosen(parts: list[Scores], count: int) -> list[int]:
    """Return the positions that go, counted through all parts."""
    cut = find_cut(lambda: parts, count, parts[0].dtype)
    goes = []
    for part in parts:
        found, cut = cut.split(part)
        goes.append(found)
    return np.flatnonzero(np.concatenate(goes)).tolist()


def sorted_first(parts: list[Scores], count: int) -> list[int]:
    order = np.argsort(np.concatenate(parts), kind="stable")[:count]
    return sorted(order.tolist())


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
@pytest.mark.parametrize("seed", range(5))
def test_it_chooses_what_a_stable_sort_would(dtype: np.dtype[Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.standard_normal(rng.integers(1, 400)).astype(dtype) for _ in range(4)]
    parts.append(rng.integers(-3, 3, 300).astype(dtype))  # many ties, and negative scores
    size = sum(part.size for part in parts)
    for count in (0, 1, size // 3, size - 1, size):
        assert chosen(parts, count) == sorted_first(parts, count)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_that_differ_in_the_last_bit_are_told_apart(dtype: Any) -> None:
    low = np.nextafter(dtype(1), dtype(0))
    scores: Scores = np.array([1, low, 1], dtype)
    assert chosen([scores], 1) == [1]
    assert find_cut(lambda: [scores], 1, scores.dtype) == Cut(float(low), 1)


def test_more_than_a_chunk_and_more_than_one_tensor() -> None:
    rng = np.random.default_rng(0)
    parts = [np.abs(rng.standard_normal(300_000)).astype(np.float32) for _ in range(2)]
    parts[1][::7] = parts[0][5]
    for count in (1, 123_456, 599_999):
        assert chosen(parts, count) == sorted_first(parts, count)


def test_minus_zero_is_zero() -> None:
    assert chosen([np.array([0.0, -0.0, -0.0], np.float32)], 2) == [0, 1]


def test_what_scores_infinity_never_goes() -> None:
    scores = np.array([np.inf, 1, 2, np.inf], np.float32)
    assert chosen([scores], 4) == [1, 2]


def ranked(weight: Array, keep: int = 1) -> Scores:
    """Rank by magnitude."""
    return rank(np.abs(weight), weight.ravel() == 0, FLOAT32, keep).scores


def test_the_last_of_the_best_weights_is_kept() -> None:
    scores = ranked(np.array([3, 2, 0, -3, 1], np.float16))
    assert scores.tolist() == [3, 2, -np.inf, np.inf, 1]


def test_what_is_no_number_is_kept() -> None:
    weight = np.array([[1, -3, np.nan, 0], [3, 2, -0.0, 1]], np.float32)
    assert ranked(weight).tolist() == [1, 3, np.inf, -np.inf, 3, 2, -np.inf, 1]
    assert weight[0, 2] != weight[0, 2], "the weight itself stays as it was"


def test_nothing_is_protected_where_all_is_zero() -> None:
    assert ranked(np.zeros(3, np.float32)).tolist() == [-np.inf] * 3
    assert ranked(np.zeros(3, np.float32), keep=2).tolist() == [-np.inf] * 3
    assert ranked(np.zeros(0, np.float32)).tolist() == []


def test_the_best_few_are_kept_and_zeros_are_none_of_them() -> None:
    weight = np.array([5, 0, 1, 4, 4, 0, 2], np.float32)
    assert ranked(weight, keep=3).tolist() == [np.inf, -np.inf, 1, np.inf, np.inf, -np.inf, 2]
    assert ranked(weight, keep=2).tolist() == [np.inf, -np.inf, 1, 4, np.inf, -np.inf, 2]
    inf = [np.inf, -np.inf, np.inf, np.inf, np.inf, -np.inf, np.inf]
    assert ranked(weight, keep=7).tolist() == inf


def test_the_lowest_score_held_back_is_told() -> None:
    scores, zero = np.array([5, 1, 4, 0], np.float32), np.array([False, False, False, True])
    assert [rank(scores, zero, FLOAT32, keep).held for keep in (1, 2, 3)] == [5, 4, 1]
    assert rank(scores, np.ones(4, bool), FLOAT32).held == np.inf


def test_only_zeros_come_before_all_others() -> None:
    scores = rank(np.array([-np.inf, 0, -5]), np.array([False, True, False]), FLOAT32).scores
    assert scores[1] == -np.inf
    assert scores[0] > -np.inf


def test_a_criterion_may_return_an_array_of_its_own() -> None:
    kept = np.array([3, 1, 2], np.float32)
    rank(kept, np.zeros(3, bool), FLOAT32)
    assert kept.tolist() == [3, 1, 2]
