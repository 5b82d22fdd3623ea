"""Timing one function: no garbage collection, no printing, one clock reading on each side."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, perf_counter_ns
from typing import Final

_MOST_RUNS: Final = 20_000  # of one slice: what is kept and sent of a model that takes microseconds
_STEADY: Final = 0.05
_SHORT: Final = 0.1  # seconds; in a longer run, filling the caches takes no share to speak of


def time_runs(run: Callable[[], object], count: int) -> list[int]:
    """Run `count` times and return what each took, in nanoseconds."""
    clock = perf_counter_ns
    times = [0] * count
    with _no_garbage_collection():
        for i in range(count):
            start = clock()
            run()
            times[i] = clock() - start
    return times


def warm_up(run: Callable[[], object], seconds: float) -> float:
    """Run until the time per run no longer falls, and return it in seconds.

    Blocks of about a tenth of `seconds` are timed until the medians of two in a row
    differ by less than 5 %, or `seconds` are over.  The first run, in which runtimes
    allocate, should be over.
    """
    end = perf_counter() + seconds
    latency = _median_seconds(time_runs(run, 1))
    while perf_counter() < end:
        before = latency
        latency = _median_seconds(time_runs(run, runs_in(seconds / 10, latency)))
        if abs(latency - before) < _STEADY * latency:
            break
    return latency


def time_slice(run: Callable[[], object], seconds: float, latency: float) -> list[int]:
    """Time the runs that fit into `seconds`, after letting caches and threads settle.

    How many follows from `latency`, known beforehand: stopping when the time is over
    would favour slices that happened to be fast.  A tenth as many untimed runs go first,
    and one at least if runs are short.

    Args:
        run: What to time.
        seconds: How long the timed part should take.
        latency: What one run took before, in seconds.
    """
    count = runs_in(seconds, latency)
    for _ in range(max(count // 10, 1 if latency < _SHORT else 0)):
        run()
    return time_runs(run, count)


def runs_in(seconds: float, latency: float) -> int:
    """Return how many runs of `latency` seconds fit, at least one."""
    return min(_MOST_RUNS, max(1, math.floor(seconds / max(latency, 1e-9))))


def _median_seconds(nanoseconds: list[int]) -> float:
    return sorted(nanoseconds)[len(nanoseconds) // 2] / 1e9


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
