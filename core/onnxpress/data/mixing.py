"""Shuffling what can only be read in order, through a buffer of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from onnxpress.data.batch import Array, Batch
from onnxpress.data.regroup import rebatch
from onnxpress.errors import DataError

BUFFER_BYTES: Final = 1 << 28
"""What a buffer takes if nobody says how many samples it should hold: 256 MiB."""


def mix_samples(
    batches: Iterable[Batch], size: int, buffer: int | None, rng: np.random.Generator, name: str
) -> Iterator[Batch]:
    """Make batches of `size` samples drawn from a buffer that is refilled as they leave.

    A sample can come much later than its turn, but at most the size of the buffer earlier.
    All samples come exactly once; the last batch holds what is left.

    Args:
        batches: What is to be shuffled.
        size: Samples in each batch that is made.
        buffer: Samples that are kept, at least one batch; None takes `BUFFER_BYTES`.
        rng: Where chance comes from.
        name: What errors call the data.

    Raises:
        DataError: If batches hold samples of different shapes, which can't be mixed.
    """
    return rebatch(_drawn(rebatch(_alike(batches, name), size), size, buffer, rng), size)


def mix_batches(
    batches: Iterable[Batch], buffer: int | None, rng: np.random.Generator
) -> Iterator[Batch]:
    """Give whole batches in another order, drawn from a buffer as `mix_samples` does."""
    kept: list[Batch] = []
    samples = capacity = 0
    for batch in batches:
        capacity = capacity or buffer or _capacity(batch)
        kept.append(batch)
        samples += batch.size
        while samples > capacity and len(kept) > 1:
            at = int(rng.integers(len(kept)))
            kept[at], kept[-1] = kept[-1], kept[at]
            samples -= kept[-1].size
            yield kept.pop()
    yield from (kept[at] for at in rng.permutation(len(kept)))


def _drawn(
    batches: Iterable[Batch], size: int, buffer: int | None, rng: np.random.Generator
) -> Iterator[Batch]:
    kept, count, capacity = None, 0, 0
    for batch in batches:
        if kept is None:
            capacity = max(size, buffer or _capacity(batch))
            kept = _empty(batch, capacity)
        room = min(capacity - count, batch.size)
        _put(kept, slice(count, count + room), _rows(batch, slice(room)))
        count += room
        if leaving := batch.size - room:
            chosen = rng.choice(capacity, leaving, replace=False)
            yield _rows(kept, chosen)
            _put(kept, chosen, _rows(batch, slice(room, None)))
    if kept is not None:
        order = rng.permutation(count)
        yield from (_rows(kept, order[at : at + size]) for at in range(0, count, size))


def _alike(batches: Iterable[Batch], name: str) -> Iterator[Batch]:
    first: dict[str, tuple[int, ...]] | None = None
    for index, batch in enumerate(batches):
        shapes = {key: array.shape[1:] for key, array in _arrays(batch).items()}
        first = first or shapes
        if shapes != first:
            key = next(key for key in first if shapes.get(key) != first[key])
            raise DataError(
                f"{name}, batch {index}: samples of {key!r} have the shape {shapes.get(key)}, and "
                f"those before {first[key]}, so they can't be mixed; pad them, or leave out the "
                "batch size of training to keep batches as they come"
            )
        yield batch


def _capacity(batch: Batch) -> int:
    sample = sum(array.nbytes for array in _arrays(batch).values()) / batch.size
    return max(1, int(BUFFER_BYTES / max(sample, 1)))


def _arrays(batch: Batch) -> dict[str, Array]:
    return batch.feeds if batch.labels is None else {**batch.feeds, "labels": batch.labels}


def _empty(like: Batch, count: int) -> Batch:
    # The system hands out memory when it is written to: a short stream takes no more.
    feeds = {name: np.empty((count, *a.shape[1:]), a.dtype) for name, a in like.feeds.items()}
    labels = like.labels
    if labels is not None:
        labels = np.empty((count, *labels.shape[1:]), labels.dtype)
    return Batch(feeds, labels)


def _rows(batch: Batch, rows: slice | Array) -> Batch:
    labels = None if batch.labels is None else batch.labels[rows]
    return Batch({name: array[rows] for name, array in batch.feeds.items()}, labels)


def _put(kept: Batch, rows: slice | Array, batch: Batch) -> None:
    for name, array in batch.feeds.items():
        kept.feeds[name][rows] = array
    if kept.labels is not None and batch.labels is not None:
        kept.labels[rows] = batch.labels
