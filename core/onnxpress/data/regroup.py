"""Cutting a stream of batches differently: a range of samples, batches of another size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from onnxpress.data.batch import Batch


def window(batches: Iterable[Batch], start: int, stop: int) -> Iterator[Batch]:
    """Keep the samples from `start` to before `stop`; asks for no batch after them."""
    seen = 0
    for batch in batches:
        size = batch.size
        if seen + size > start:
            yield _cut(batch, max(0, start - seen), min(size, stop - seen))
        seen += size
        if seen >= stop:
            return


def rebatch(batches: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Make every batch `size` samples large; the last one holds what is left."""
    waiting: list[Batch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.size
        if count < size:
            continue
        joined, count = _join(waiting), count % size
        whole = joined.size - count
        yield from (_cut(joined, start, start + size) for start in range(0, whole, size))
        waiting = [_cut(joined, whole, joined.size)] if count else []
    if waiting:
        yield _join(waiting)


def _cut(batch: Batch, start: int, stop: int) -> Batch:
    if start == 0 and stop >= batch.size:
        return batch
    labels = None if batch.labels is None else batch.labels[start:stop]
    return Batch({name: array[start:stop] for name, array in batch.feeds.items()}, labels)


def _join(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    labels = [batch.labels for batch in batches if batch.labels is not None]
    return Batch(
        {name: np.concatenate([b.feeds[name] for b in batches]) for name in batches[0].feeds},
        np.concatenate(labels) if labels else None,
    )
