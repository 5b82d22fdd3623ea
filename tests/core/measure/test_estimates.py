from __future__ import annotations

from itertools import product
from math import isclose

import numpy as np
import pytest

from onnxpress.measure.estimates import (
    LEAST_ROUNDS,
    _signed_rank_cut,
    _signed_rank_distribution,
    latency_ms,
    paired_ratio,
    spread,
)


def test_quantiles_are_in_milliseconds() -> None:
    found = latency_ms([int(i * 1e6) for i in range(101)])
    assert found == {"median": 50.0, "p90": 90.0, "p99": 99.0}


def test_spread_is_that_of_a_normal_distribution_and_ignores_outliers() -> None:
    values = np.random.default_rng(0).normal(10, 0.5, 4000)
    assert spread(values.tolist()) == pytest.approx(0.05, rel=0.05)
    values[:40] = 1e6
    assert spread(values.tolist()) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_signed_rank_distribution_is_that_of_all_sign_patterns(n: int) -> None:
    sums = [
        sum(rank for rank, sign in enumerate(signs, 1) if sign)
        for signs in product((0, 1), repeat=n)
    ]
    expected = np.bincount(sums) / 2**n
    np.testing.assert_allclose(_signed_rank_distribution(n), expected)


@pytest.mark.parametrize(("n", "cut"), [(6, 0), (8, 3), (10, 8), (15, 25), (20, 52), (25, 89)])
def test_cut_is_that_of_published_tables(n: int, cut: int) -> None:
    # Critical values of Wilcoxon's signed-rank test, two-sided 5 %.
    assert _signed_rank_cut(n) == cut


def test_ratio_of_equal_times_is_one() -> None:
    found = paired_ratio([5.0] * 8, [5.0] * 8)
    assert found.value == 1
    assert found.interval == (1, 1)


def test_ratio_is_reciprocal_when_sides_change() -> None:
    rng = np.random.default_rng(1)
    ours, first = rng.uniform(1, 2, 12).tolist(), rng.uniform(2, 3, 12).tolist()
    there, back = paired_ratio(ours, first), paired_ratio(first, ours)
    assert there.interval is not None
    assert back.interval is not None
    assert isclose(there.value, 1 / back.value)
    assert isclose(there.interval[0], 1 / back.interval[1])


def test_too_few_rounds_give_a_ratio_without_interval() -> None:
    times = [1.0] * (LEAST_ROUNDS - 1)
    assert paired_ratio(times, times).interval is None
    assert paired_ratio([*times, 1.0], [*times, 1.0]).interval is not None


def _two_noisy_models(
    rng: np.random.Generator, rounds: int, ratio: float
) -> tuple[list[float], list[float]]:
    """Round medians on a machine whose clock drifts, with noise of no finite variance."""
    drift = np.cumsum(rng.normal(0, 0.05, rounds)) + np.linspace(0, 0.3, rounds)
    first = np.exp(drift + 0.01 * rng.standard_t(1.5, rounds))
    ours = ratio * np.exp(drift + 0.03 * rng.standard_t(1.5, rounds))
    return ours.tolist(), first.tolist()


@pytest.mark.parametrize("rounds", [6, 10, 20])
def test_interval_holds_the_true_ratio_in_95_of_100(rounds: int) -> None:
    rng = np.random.default_rng(rounds)
    intervals = [paired_ratio(*_two_noisy_models(rng, rounds, 0.7)).interval for _ in range(400)]
    held = sum(i is not None and i[0] <= 0.7 <= i[1] for i in intervals)
    assert 372 <= held <= 396


def test_luck_of_a_launch_is_part_of_the_interval() -> None:
    rng, launches = np.random.default_rng(5), np.repeat(np.arange(8), 3).tolist()
    by_launch, by_round = 0, 0
    for _ in range(400):
        luck = np.repeat(rng.normal(0, 0.01, 8), 3)
        ours, first = np.exp(rng.normal(0, 0.005, 24) + luck), np.exp(rng.normal(0, 0.005, 24))
        for groups in (launches, []):
            interval = paired_ratio(ours.tolist(), first.tolist(), groups).interval
            assert interval is not None
            held = interval[0] <= 1 <= interval[1]
            by_launch, by_round = (
                by_launch + (held and bool(groups)),
                by_round + (held and not groups),
            )
    assert 372 <= by_launch <= 396
    assert by_round < 350  # which is why


def test_interval_narrows_with_rounds_and_shrugs_off_an_outlier() -> None:
    rng = np.random.default_rng(3)
    widths = []
    for rounds in (8, 32, 128):
        ours, first = rng.normal(0.5, 0.01, rounds), rng.normal(1, 0.01, rounds)
        ours[0] = 50
        interval = paired_ratio(ours.tolist(), first.tolist()).interval
        assert interval is not None
        widths.append(interval[1] - interval[0])
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 0.01
