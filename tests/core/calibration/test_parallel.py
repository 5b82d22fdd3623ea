"""Results in order, never too many at once, and errors where they belong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from onnxpress.calibration.parallel import cores, in_order


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(in_order(work, range(20), workers)) == [i * i for i in range(20)]


def test_items_are_taken_as_late_as_possible() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = in_order(lambda item: item, items(), workers=3)
    for done in range(5):
        next(results)
        assert len(taken) <= done + 3


def test_workers_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=20)
    assert list(in_order(lambda _: meeting.wait() >= 0, range(4), workers=2)) == [True] * 4


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_at_its_item(workers: int) -> None:
    results = in_order(lambda item: 6 // item, [3, 2, 0, 1], workers)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_there_is_at_least_one_core() -> None:
    assert cores() >= 1
