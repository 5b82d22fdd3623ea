"""Foreign iterables, made safe to go through: again and again, and with errors that say where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

from onnxpress.data.batch import Batch
from onnxpress.errors import DataError, OnnxpressError


@runtime_checkable
class BatchReader(Protocol):
    """ONNX Runtime's ``CalibrationDataReader``."""

    def get_next(self) -> Any: ...


class Indexed:
    """What has a length and gives items by index, as an iterable.

    Python's own way to go through such an object asks until it raises `IndexError`,
    which torch's datasets need not do.
    """

    def __init__(self, items: Any) -> None:
        self._items = items

    def __iter__(self) -> Iterator[object]:
        return (self._items[index] for index in range(len(self._items)))


class Rewound:
    """A reader as an iterable, from its first batch on where it can rewind."""

    def __init__(self, reader: BatchReader) -> None:
        self._reader = reader

    def __iter__(self) -> Iterator[object]:
        getattr(self._reader, "rewind", lambda: None)()
        while (item := self._reader.get_next()) is not None:
            yield item


class Replay:
    """What an iterable gave, kept to be given again; it is asked for no more than is needed."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._rest = iter(batches)
        self._seen: list[Batch] = []
        self._error: OnnxpressError | None = None

    def __iter__(self) -> Iterator[Batch]:
        index = 0
        while index < len(self._seen) or self._draw():
            yield self._seen[index]
            index += 1

    def _draw(self) -> bool:
        if self._error is not None:  # a generator that raised would now just end
            raise self._error
        try:
            batch = next(self._rest, None)
        except OnnxpressError as error:
            self._error = error
            raise
        if batch is None:
            return False
        # Copied, because a generator may well fill the same array again and again.
        labels = None if batch.labels is None else batch.labels.copy()
        self._seen.append(Batch({name: a.copy() for name, a in batch.feeds.items()}, labels))
        return True


def is_one_shot(source: object) -> bool:
    """Say whether `source` can be gone through only once."""
    if isinstance(source, BatchReader):
        return not hasattr(source, "rewind")
    return hasattr(source, "__next__")


def guarded(items: Iterable[object], name: str) -> Iterator[object]:
    """Go through foreign items; what they raise becomes a `DataError` that says where."""
    index = 0
    try:
        for item in items:
            yield item
            index += 1
    except OnnxpressError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise DataError(f"{name}: batch {index} could not be had: {kind}: {error}") from error


def order_note(source: object) -> tuple[str, ...]:
    """Return a note if `source` is known to change its order from pass to pass."""
    if type(getattr(source, "sampler", None)).__name__ != "RandomSampler":  # torch's shuffle=True
        return ()
    return ("it shuffles, so results differ from run to run; make it with shuffle=False",)
