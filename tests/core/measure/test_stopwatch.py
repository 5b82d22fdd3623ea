from __future__ import annotations

import gc
import time
from itertools import count

import pytest

from onnxpress.measure import stopwatch


def test_times_are_those_of_the_runs() -> None:
    times = stopwatch.time_runs(lambda: time.sleep(0.005), 4)
    assert len(times) == 4
    assert all(5e6 <= t < 5e9 for t in times)


def test_no_garbage_is_collected_while_timing() -> None:
    seen: list[bool] = []
    stopwatch.time_runs(lambda: seen.append(gc.isenabled()), 2)
    assert seen == [False, False]
    assert gc.isenabled()


def test_garbage_collection_comes_back_after_a_failure() -> None:
    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        stopwatch.time_runs(fail, 1)
    assert gc.isenabled()


def test_a_slice_takes_about_as_long_as_asked() -> None:
    start = time.perf_counter()
    times = stopwatch.time_slice(lambda: time.sleep(0.002), seconds=0.1, latency=0.002)
    assert len(times) == 50
    assert time.perf_counter() - start >= 0.1


def test_a_slice_has_a_run_even_if_it_is_too_short() -> None:
    assert len(stopwatch.time_slice(lambda: None, seconds=0.001, latency=5)) == 1


def test_runs_are_bounded_where_they_take_no_time() -> None:
    assert stopwatch.runs_in(100, 0) == 20_000


def test_warm_up_goes_on_until_times_no_longer_fall() -> None:
    falling = (max(0.002, 0.04 * 0.7**i) for i in count())
    latency = stopwatch.warm_up(lambda: time.sleep(next(falling)), seconds=1)
    assert 0.002 <= latency < 0.004


def test_warm_up_minds_the_time() -> None:
    runs: list[None] = []
    stopwatch.warm_up(lambda: runs.append(None), seconds=0)
    assert len(runs) == 1


@pytest.mark.parametrize(("latency", "untimed"), [(0.01, 1), (0.2, 0)])
def test_only_short_runs_are_preceded_by_an_untimed_one(latency: float, untimed: int) -> None:
    runs: list[None] = []
    times = stopwatch.time_slice(lambda: runs.append(None), seconds=0.01, latency=latency)
    assert len(runs) - len(times) == untimed
