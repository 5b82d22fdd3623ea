"""`prefetched`: the next batches are made while this one is used."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_AWAKE: Final = 0.1  # seconds; on Windows nothing interrupts a wait, Ctrl+C neither


def prefetched(items: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """Go through `items` in a thread of its own, at most `depth` ahead; the order stays.

    What `items` raises is raised here, with its traceback, after all that came before it.
    The thread ends with the generator: at the end, at an error, at `close`, or when the
    last reference goes.  It waits for the item that is being made.

    Args:
        items: What to go through; only that thread touches it.
        depth: How many items may be ready or in the making.
    """
    ahead = _Ahead(items, depth)
    try:
        yield from ahead
    finally:
        ahead.stop()


class _Ahead(Generic[T]):
    """A thread that fills a queue, and the queue."""

    def __init__(self, items: Iterable[T], depth: int) -> None:
        self._items = items
        self._depth = depth
        self._ready: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._fill, name="onnxpress-prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Generator[T, None, None]:
        while True:
            with self._changed:
                while not self._ready and not self._ended:
                    self._changed.wait(_AWAKE)
                if not self._ready:
                    break
                item = self._ready.popleft()
                self._changed.notify()
            yield item
            del item  # else the batch that is done with waits here for the next one
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Tell the thread to end, and wait until it has."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _fill(self) -> None:
        iterator = None
        try:
            iterator = iter(self._items)
            while self._wanted():
                item = next(iterator)
                with self._changed:
                    self._ready.append(item)
                    self._changed.notify()
                del item
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001  (it is raised where the items are used)
            self._error = error
        finally:
            self._close(iterator)

    def _wanted(self) -> bool:
        """Wait until there is room; say whether anybody still wants items."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._ready) < self._depth)
            return not self._stopped

    def _close(self, iterator: object) -> None:
        try:
            if isinstance(iterator, Generator):
                iterator.close()  # here, because a generator belongs to the thread that runs it
        except BaseException as error:  # noqa: BLE001
            self._error = self._error or error
        with self._changed:
            self._ended = True
            self._changed.notify()
