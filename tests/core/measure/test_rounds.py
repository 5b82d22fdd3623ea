from __future__ import annotations

from itertools import pairwise

import pytest

from onnxpress.measure.rounds import fitting_launches, fitting_rounds, orders


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_everybody_takes_part_in_every_round(count: int) -> None:
    found = list(orders(count, 8, seed=3))
    assert len(found) == 8
    assert all(sorted(order) == list(range(count)) for order in found)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_nobody_runs_twice_in_a_row(count: int) -> None:
    assert all(a[-1] != b[0] for a, b in pairwise(orders(count, 200, seed=1)))


def test_everybody_follows_everybody_else_at_times() -> None:
    turns = [i for order in orders(4, 200, seed=2) for i in order]
    followed = dict.fromkeys(set(pairwise(turns)), 0)
    for pair in pairwise(turns):
        followed[pair] += 1
    assert len(followed) == 12
    assert max(followed.values()) < 2 * min(followed.values())


def test_orders_depend_on_the_seed_alone() -> None:
    assert list(orders(4, 6, seed=1)) == list(orders(4, 6, seed=1))
    assert list(orders(4, 6, seed=1)) != list(orders(4, 6, seed=2))


def test_rounds_shrink_for_slow_models_but_not_below_an_interval() -> None:
    assert fitting_rounds(3, 0.001) == 24
    assert fitting_rounds(3, 0.3) == 10
    assert fitting_rounds(3, 60) == 6


def test_launches_shrink_where_they_take_long() -> None:
    assert fitting_launches(3, 0.4) == 8
    assert fitting_launches(3, 0.9) == 5
    assert fitting_launches(3, 60) == 1
