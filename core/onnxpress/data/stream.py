"""`StreamData`: somebody's iterable of batches, as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from onnxpress.data.batch import Array, Batch, Data
from onnxpress.data.checks import check_finite, check_labels
from onnxpress.data.items import Reader
from onnxpress.data.options import Options
from onnxpress.data.overlap import ENDLESS, Origin
from onnxpress.data.prepare import preparations
from onnxpress.data.regroup import rebatch, window
from onnxpress.data.signature import Signature, wrong_batch
from onnxpress.data.sources import (
    BatchReader,
    Replay,
    Rewound,
    guarded,
    is_one_shot,
    order_note,
)
from onnxpress.errors import DataError, OptionError


class StreamData(Data):
    """Batches taken from an iterable whenever they are gone through.

    What can be gone through only once (a generator, a reader that can't rewind) is kept
    as it comes, so that it can be gone through again.

    Args:
        name: What the report calls it.
        source: An iterable of items, or a `BatchReader`.
        origin: What tells it from other sources; see `Origin`.
        reader: Reads the items.
        signature: What the model wants.
        options: Which samples, and how they are prepared.

    Raises:
        DataError: If there is no first batch, or it is not what the model wants.
        OptionError: If an option can't be had from a stream.
    """

    def __init__(
        self,
        name: str,
        source: Iterable[object] | BatchReader,
        origin: object,
        reader: Reader,
        signature: Signature,
        options: Options,
    ) -> None:
        _check_options(options, signature)
        self.name = name
        self._signature = signature
        self._options = options
        self._prepare = preparations(signature, options)
        self._samples: int | None = None
        self._opened = False
        self.notes = order_note(source)
        self._raw = self._arrays(source, reader)
        self._stop = ENDLESS if options.limit is None else options.offset + options.limit
        self.origin = Origin(origin, range(options.offset, self._stop))
        first = next(iter(self), None)
        if first is None:
            raise DataError(f"{name} is empty: there is no first batch")
        self.labelled = first.labels is not None
        self._opened = True

    @property
    def samples(self) -> int | None:
        return self._samples

    @property
    def batched(self) -> bool:
        """Whether batches can be cut and joined: the first axis of every input counts samples."""
        return self._signature.batched

    @property
    def fixed(self) -> int | None:
        """The number of samples that the model takes at once, if it is fixed."""
        return self._signature.fixed

    @property
    def fixed_by(self) -> str:
        """Which dimension of the model fixes it, as words."""
        return self._signature.fixed_by

    @property
    def batch(self) -> int | None:
        """The size of batches, if it was asked for; else they are as they come."""
        return self._options.batch if self.batched else None

    def __iter__(self) -> Iterator[Batch]:
        count = 0
        for index, batch in enumerate(self._grouped()):
            if self._signature.fixed and batch.size < self._signature.fixed:
                self._note_left_out(batch.size)
                break
            yield self._prepared(batch, f"{self.name}, batch {index}")
            count += batch.size
        if not count and self._opened:
            raise DataError(
                f"{self.name} gave nothing when it was gone through again; give an object that "
                "begins anew every time, or a plain generator, which is kept"
            )
        self._samples = count

    def _arrays(self, source: Iterable[object] | BatchReader, reader: Reader) -> Iterable[Batch]:
        items: Iterable[object] = Rewound(source) if isinstance(source, BatchReader) else source
        arrays = _Arrays(items, reader, self._signature, self.name)
        if not is_one_shot(source):
            return arrays
        self.notes += ("it can be gone through only once, so its arrays are kept in memory",)
        return Replay(arrays)

    def _grouped(self) -> Iterator[Batch]:
        batches = iter(self._raw)
        start, stop = self._options.offset, self._stop
        if not self._signature.batched:
            return islice(batches, start, stop)
        if (start, stop) != (0, ENDLESS):
            batches = window(batches, start, stop)
        size = self._signature.fixed or self._options.batch
        return rebatch(batches, size) if size else batches

    def _prepared(self, batch: Batch, where: str) -> Batch:
        feeds = {name: self._feed(name, raw, where) for name, raw in batch.feeds.items()}
        return Batch(feeds, batch.labels)

    def _feed(self, name: str, raw: Array, where: str) -> Array:
        where = f"{where}: the array for {name!r}"
        plan = self._prepare[name].plan(raw.shape, raw.dtype, f"{where} {raw.shape}")
        array = plan.apply(raw, where)
        check_finite(array, where)
        return array

    def _note_left_out(self, count: int) -> None:
        fixed = self._signature.fixed
        note = f"the last {count} samples are left out: the model takes {fixed} at once"
        if note not in self.notes:
            self.notes += (note,)


class _Arrays:
    """The items of an iterable as numpy arrays that fit each other."""

    def __init__(
        self, items: Iterable[object], reader: Reader, signature: Signature, name: str
    ) -> None:
        self._items = items
        self._reader = reader
        self._batched = signature.batched
        self._name = name

    def __iter__(self) -> Iterator[Batch]:
        labelled = None
        for index, item in enumerate(guarded(self._items, self._name)):
            batch = self._reader.read(item, index)
            where = f"{self._name}, batch {index}"
            if self._batched:
                _check_sizes(batch, where)
            if labelled not in {None, batch.labels is not None}:
                have = "has no" if labelled else "has"
                raise DataError(f"{where} {have} labels, unlike the first")
            labelled = batch.labels is not None
            yield batch


def _check_sizes(batch: Batch, where: str) -> None:
    if single := [name for name, array in batch.feeds.items() if not array.ndim]:
        raise DataError(f"{where}: {single[0]!r} is a single value, not an array of samples")
    if len({array.shape[0] for array in batch.feeds.values()}) > 1:
        listed = ", ".join(f"{name!r}: {array.shape}" for name, array in batch.feeds.items())
        raise DataError(f"{where}: the first axes, which count samples, differ: {listed}")
    if not batch.size:
        raise DataError(f"{where} is empty: it has no samples")
    if batch.labels is not None:
        check_labels(batch.labels, batch.size, f"{where}: labels")


def _check_options(options: Options, signature: Signature) -> None:
    if options.shuffle is not None:
        raise OptionError(
            "shuffle is for arrays and folders; what comes in batches has its own order"
        )
    fixed = signature.fixed
    if fixed is not None and options.batch not in {None, fixed}:
        assert options.batch is not None
        raise wrong_batch(options.batch, fixed, signature.fixed_by)
