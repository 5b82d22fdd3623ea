from __future__ import annotations

import gc
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator

import pytest

from onnxpress.data.prefetch import prefetched


def alive() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "onnxpress-prefetch"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not alive()


class Source:
    """Numbers, and what became of the generator that gives them."""

    def __init__(self, count: int, fail_at: int | None = None) -> None:
        self.count, self.fail_at = count, fail_at
        self.made = 0
        self.closed_in: threading.Thread | None = None

    def __iter__(self) -> Iterator[int]:
        try:
            for number in range(self.count):
                if number == self.fail_at:
                    self.fail(number)
                self.made += 1
                yield number
        finally:
            self.closed_in = threading.current_thread()

    def fail(self, number: int) -> None:
        raise ValueError(f"disk on fire at {number}")


def settled(source: Source, expected: int) -> int:
    """Wait until so many items are made, and a little longer; return how many there are."""
    deadline = time.monotonic() + 20
    while source.made < expected and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.02)
    return source.made


@pytest.mark.parametrize("depth", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_everything_comes_in_order(depth: int, count: int) -> None:
    assert list(prefetched(Source(count), depth)) == list(range(count))


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_items_are_made_ahead_but_no_more_than_may_be_ready(depth: int) -> None:
    source = Source(100)
    items = prefetched(source, depth)
    for taken in range(1, 4):
        next(items)
        assert settled(source, taken + depth) == taken + depth
    items.close()


def test_nothing_is_made_before_it_is_asked_for() -> None:
    source = Source(3)
    items = prefetched(source)
    assert (source.made, alive()) == (0, [])
    items.close()


def test_an_error_comes_after_what_was_made_before_it_with_its_traceback() -> None:
    items = prefetched(Source(9, fail_at=3), depth=9)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="disk on fire at 3") as caught:
        next(items)
    assert "in fail" in "".join(traceback.format_tb(caught.value.__traceback__))


def test_an_error_before_the_first_item_is_raised_too() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        next(prefetched(3))  # type: ignore[arg-type]


def test_leaving_early_ends_the_thread_and_closes_the_source_in_it() -> None:
    source = Source(100)
    for _ in prefetched(source):
        break
    assert not alive()
    assert source.closed_in not in {None, threading.current_thread()}
    assert source.made <= 4


def test_an_error_of_the_consumer_ends_the_thread() -> None:
    def consume() -> None:
        for number in prefetched(Source(100)):
            raise RuntimeError(str(number))

    with pytest.raises(RuntimeError):
        consume()
    gc.collect()
    assert not alive()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_while_waiting_is_heard_and_ends_the_thread() -> None:
    def slow() -> Iterator[int]:
        yield 0
        signal.raise_signal(signal.SIGINT)  # Python runs its handler in the main thread
        time.sleep(0.3)
        yield 1

    def consume() -> None:
        for _ in prefetched(slow(), depth=1):
            pass

    with pytest.raises(KeyboardInterrupt):
        consume()
    gc.collect()
    assert not alive()


def test_an_item_that_is_done_with_is_let_go() -> None:
    class Item:
        alive = 0

        def __init__(self) -> None:
            Item.alive += 1

        def __del__(self) -> None:
            Item.alive -= 1

    for item in prefetched((Item() for _ in range(20)), depth=2):
        assert Item.alive <= 4  # this one, two that are ready, and one in the making
        del item
        time.sleep(0.005)
    assert Item.alive == 0
