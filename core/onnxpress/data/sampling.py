"""`Epochs`: data as training goes through it, shuffled anew every time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from onnxpress.data.augment import read_augmentations
from onnxpress.data.augment.read import Written
from onnxpress.data.batch import Batch, Data
from onnxpress.data.mixing import mix_batches, mix_samples
from onnxpress.data.order import Positions, balanced, class_of_each
from onnxpress.data.regroup import rebatch
from onnxpress.data.rows import RowData
from onnxpress.data.seeds import AUGMENT, ORDER, generator
from onnxpress.data.signature import no_batch_axis, wrong_batch
from onnxpress.data.stream import StreamData
from onnxpress.errors import DataError, OptionError, UsageError, noting


@dataclass(eq=False)
class Epochs:
    """Batches for training: every epoch in an order, and with augmentation, of its own.

    All is drawn from the seed, the number of the epoch and that of the batch, so any batch
    can be made again.  The data itself stays as it is: whoever goes through it, as
    validation does, meets it in its own order and without augmentation.

    Arrays and folders are read anywhere, so the order is a permutation of all samples.
    What comes in batches is shuffled through a buffer; see `mix_samples`.

    Attributes:
        data: What is trained on.
        seed: What chance is drawn from; a whole number from 0.
        batch: Samples at once; None takes the batch size of the data, and keeps the batches
            of a stream that has none whole.
        shuffle: Whether the order is random; else it is that of the data.
        balanced: Whether every class comes equally often.  An epoch has as many samples as
            the data: rare classes are repeated, and of common ones only a part is taken.
        drop_last: Whether samples that do not fill a batch are left out.  A model that
            takes a fixed number of samples only ever gets full batches.
        augment: What is done to every batch, in order, written in any way.
        classes: How many classes there are, for augmentations that blend labels.
        buffer: How many samples of a stream are kept for shuffling; None takes 256 MiB.

    Raises:
        OptionError: If the batch size does not fit the model or the data.
        UsageError: If classes are to be balanced where there are none.
        DataError: If no full batch is left.
    """

    data: Data
    seed: int = 0
    batch: int | None = None
    shuffle: bool = True
    balanced: bool = False
    drop_last: bool = False
    augment: Written | Iterable[Written] | None = None
    classes: int | None = None
    buffer: int | None = None

    def __post_init__(self) -> None:
        data = self.data
        if not isinstance(data, RowData | StreamData):
            next(iter(data), None)  # what must not be gone through says so itself
        fixed = _fixed(data)
        _check_whole("seed", self.seed, 0)
        _check_whole("buffer", self.buffer, 1)
        _check_whole("batch", self.batch, 1)
        _check_batch(self.batch, fixed, data)
        self._size = fixed or self.batch or _own_size(data)
        self._full = self.drop_last or fixed is not None
        _check_full(data, self._size, full=self._full)
        if self.balanced:
            _check_balanced(data)
        self._augment = tuple(
            a.with_classes(self.classes) for a in read_augmentations(self.augment)
        )

    @property
    def steps(self) -> int | None:
        """The number of batches in an epoch, None where only going through would tell."""
        samples = self.data.samples
        if samples is None or self._size is None:
            return None
        return samples // self._size if self._full else -(-samples // self._size)

    def count(self) -> int:
        """Return the number of batches in an epoch; goes through the data if only that tells."""
        if self.steps is not None:
            return self.steps
        plain = iter(self.data) if self._size is None else rebatch(self.data, self._size)
        return sum(1 for batch in plain if not self._full or batch.size == self._size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Go through one epoch, from batch number `start` on.

        A stream has to be read from its beginning, but what is skipped is not augmented.
        """
        plain = (
            self._from_rows(self.data, epoch, start)
            if isinstance(self.data, RowData)
            else islice(self._from_stream(epoch), start, None)
        )
        for index, batch in enumerate(plain, start):
            yield self._augmented(batch, epoch, index)

    def _from_rows(self, data: RowData, epoch: int, start: int) -> Iterator[Batch]:
        order = self._order(data, epoch)
        size = self._size or data.batch
        for index in range(start, self.steps or 0):
            where = f"{data.name}, batch {index} of epoch {epoch}"
            yield data.take(order[index * size : (index + 1) * size], where)

    def _order(self, data: RowData, epoch: int) -> Positions:
        rng = generator(self.seed, ORDER, epoch)
        if self.balanced:
            order = balanced(self._classes, rng)
            return order if self.shuffle else np.sort(order)
        return rng.permutation(data.samples) if self.shuffle else np.arange(data.samples)

    @cached_property
    def _classes(self) -> Positions:
        assert isinstance(self.data, RowData)
        labels = self.data.labels
        assert labels is not None
        return class_of_each(labels, self.data.name)

    def _from_stream(self, epoch: int) -> Iterator[Batch]:
        batches = self._mixed(generator(self.seed, ORDER, epoch))
        return (b for b in batches if not self._full or b.size == self._size)

    def _mixed(self, rng: np.random.Generator) -> Iterator[Batch]:
        if self._size is None:
            return mix_batches(self.data, self.buffer, rng) if self.shuffle else iter(self.data)
        if not self.shuffle:
            return rebatch(self.data, self._size)
        return mix_samples(self.data, self._size, self.buffer, rng, self.data.name)

    def _augmented(self, batch: Batch, epoch: int, index: int) -> Batch:
        for position, augmentation in enumerate(self._augment):
            with noting(f"in batch {index} of epoch {epoch}"):
                rng = generator(self.seed, AUGMENT, epoch, index, position)
                batch = augmentation.apply(batch, rng)
        return batch


def _fixed(data: Data) -> int | None:
    """Return the number of samples that the model takes at once, if it is fixed."""
    if isinstance(data, RowData):
        return 1 if data.stacked else data.fixed
    return data.fixed if isinstance(data, StreamData) else None


def _own_size(data: Data) -> int | None:
    return data.batch if isinstance(data, RowData | StreamData) else None


def _check_whole(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise OptionError(f"{name}={value}: {name} is a whole number of at least {least}")


def _check_batch(batch: int | None, fixed: int | None, data: Data) -> None:
    if batch is None:
        return
    if fixed is not None and batch != fixed:
        own = isinstance(data, RowData) and data.stacked
        by = data.fixed_by if isinstance(data, RowData | StreamData) else ""
        raise no_batch_axis(batch) if own else wrong_batch(batch, fixed, by)
    if isinstance(data, StreamData) and not data.batched:
        raise no_batch_axis(batch)


def _check_full(data: Data, size: int | None, *, full: bool) -> None:
    if full and size is None:
        raise OptionError(f"drop-last needs a batch size: {data.name} comes in batches of its own")
    if full and data.samples is not None and size is not None and data.samples < size:
        raise DataError(
            f"{data.name} has {data.samples} samples, too few for one batch of {size}; give more, "
            "or a smaller batch"
        )


def _check_balanced(data: Data) -> None:
    if not isinstance(data, RowData):
        raise UsageError(
            f"classes can be balanced where samples can be read in any order, and {data.name} "
            "comes in batches; give arrays or a folder, or balance it where it is made"
        )
    if data.label_column is None:
        raise UsageError(f"balanced sampling needs labels, and {data.name} has none")
