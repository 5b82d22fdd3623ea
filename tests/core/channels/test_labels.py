"""Labels: what follows from ties and pins, whatever their order."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.channels.labels import Ids, Labels, components


@pytest.mark.parametrize("seed", range(20))
def test_components_are_those_of_union_find(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 60))
    ties = [
        (rng.integers(count, size=size), rng.integers(count, size=size))
        for size in rng.integers(0, 6, size=rng.integers(0, 8))
    ]
    assert components(count, ties).tolist() == _union_find(count, ties)


def test_a_long_chain_is_one_component() -> None:
    numbers = np.random.default_rng(0).permutation(1000)
    assert not components(1000, [(numbers[:-1], numbers[1:])]).any()


def test_the_first_reason_wins() -> None:
    labels = Labels()
    ids = labels.fresh(3)
    labels.source = 4
    labels.pin(ids[1:], "first")
    labels.source = 7
    labels.pin(ids, "second")
    solved = labels.solve()
    assert [solved.reason(ids[i : i + 1]) for i in range(3)] == ["second", "first", "first"]
    assert [solved.origins(ids[i : i + 1]) for i in range(3)] == [{7}, {4}, {4}]
    assert solved.origins(ids) == {4, 7}
    assert solved.free(ids).tolist() == [False, False, False]


def test_a_pin_reaches_all_that_is_tied_later() -> None:
    labels = Labels()
    first, second, third = labels.fresh(2), labels.fresh(2), labels.fresh(2)
    labels.pin(third[:1], "it is kept")
    labels.tie(first, second)
    labels.tie(second, third[::-1])
    solved = labels.solve()
    assert solved.free(first).tolist() == solved.free(second).tolist() == [True, False]
    assert solved.reason(first) == "it is kept"
    assert solved.reason(first[:1]) is None
    assert solved.origins(first[:1]) == set()
    assert solved.origins(first) == {-1}


def test_the_order_of_ties_makes_no_difference() -> None:
    rng = np.random.default_rng(3)
    pairs = [(rng.integers(30, size=4), rng.integers(30, size=4)) for _ in range(6)]
    forward, backward = components(30, pairs), components(30, pairs[::-1])
    assert forward.tolist() == backward.tolist()


def test_nothing_is_nothing() -> None:
    solved = Labels().solve()
    assert solved.classes.size == solved.pin.size == 0


def _union_find(count: int, ties: list[tuple[Ids, Ids]]) -> list[int]:
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for first, second in ties:
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            low, high = sorted((root(a), root(b)))
            parent[high] = low
    return [root(i) for i in range(count)]
