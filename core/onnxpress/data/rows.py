"""`RowData`: arrays whose first axis counts samples, cut into batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap
from typing import Final, TypeGuard

import numpy as np
import numpy.typing as npt

from onnxpress.data.batch import Array, Batch, Data
from onnxpress.data.checks import check_finite, check_labels
from onnxpress.data.columns import Column, Readable, Rows
from onnxpress.data.options import Options
from onnxpress.data.overlap import Origin
from onnxpress.data.prepare import Plan, preparations
from onnxpress.data.signature import FREE_IT, Signature, no_batch_axis, wrong_batch
from onnxpress.errors import DataError, OptionError

DEFAULT_BATCH: Final = 32


@dataclass(eq=False)
class RowData(Data):
    """Batches cut from columns; each batch is read and prepared when its turn comes.

    Attributes:
        name: What the report calls it.
        columns: What feeds each input, by input name.
        plans: How a batch of it is prepared, by input name.
        label_column: The labels, if there are any.
        rows: The rows in use, in order.
        batch: Rows at once.
        stacked: Whether a row is a whole run of a model that has no batch axis.
        notes: What was decided without being asked.
        origin: Where the samples come from.
        fixed: The number of samples that the model takes at once, if it is fixed.
        fixed_by: Which dimension of the model fixes it, as words.
    """

    name: str
    columns: Mapping[str, Column]
    plans: Mapping[str, Plan]
    label_column: Column | None
    rows: range | Array
    batch: int
    stacked: bool = False
    notes: tuple[str, ...] = ()
    origin: Origin | None = None
    fixed: int | None = None
    fixed_by: str = ""

    def __post_init__(self) -> None:
        self.labelled = self.label_column is not None

    @property
    def samples(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Batch]:
        for index, start in enumerate(range(0, len(self.rows), self.batch)):
            rows = self._span(start)
            where = f"{self.name}, batch {index}: array"
            labels = None if self._labels is None else np.array(self._labels[rows])
            feeds = {name: self._feed(name, rows, where) for name in self.columns}
            yield Batch(feeds, labels)

    def take(self, positions: npt.NDArray[np.int64], where: str) -> Batch:
        """Return the samples at these positions, counted from the first in use; any may repeat.

        Args:
            positions: Where to look, in the order wanted.
            where: Which batch this is, for errors.

        Raises:
            DataError: If an array can't be read, or holds NaN or infinite values.
        """
        rows: Array = positions if isinstance(self.rows, range) else self.rows[positions]
        labels = None if self._labels is None else np.array(self._labels[rows])
        feeds = {name: self._feed(name, rows, f"{where}: array") for name in self.columns}
        return Batch(feeds, labels)

    @property
    def labels(self) -> Array | None:
        """The labels of all samples in use, in order; None if there are none."""
        if self._labels is None:
            return None
        rows = slice(None) if isinstance(self.rows, range) else self.rows
        return np.asarray(self._labels[rows])

    def _span(self, start: int) -> Rows:
        """Return the rows of one batch, counted from the first one that is loaded."""
        rows = self.rows[start : start + self.batch]
        return slice(start, start + len(rows)) if isinstance(rows, range) else rows

    def _feed(self, name: str, rows: Rows, where: str) -> Array:
        where = f"{where} {self.columns[name].name!r}"
        raw = _read(self._loaded[name], rows)
        array = self.plans[name].apply(raw[0] if self.stacked else raw, where)
        check_finite(array, where, self._numbers(rows))
        return array

    def _numbers(self, rows: Rows) -> Array | None:
        """Return which samples of the source these are, where the batch does not tell."""
        if isinstance(rows, slice) or self.stacked:
            return None
        return rows + self.rows.start if isinstance(self.rows, range) else rows

    @cached_property
    def _loaded(self) -> dict[str, Readable]:
        return {name: self._load(column) for name, column in self.columns.items()}

    @cached_property
    def _labels(self) -> Readable | None:
        return None if self.label_column is None else self._load(self.label_column)

    def _load(self, column: Column) -> Readable:
        if isinstance(self.rows, range):
            return column.load(self.rows.start, self.rows.stop)
        return column.load(0, column.shape[0])


def row_data(
    name: str,
    source: object,
    columns: Mapping[str, Column],
    labels: Column | None,
    signature: Signature,
    options: Options,
) -> RowData:
    """Make data of columns; all that can be checked without reading them is.

    Args:
        name: What the report calls it.
        source: What tells the source from others; see `Origin`.
        columns: What feeds each input, by input name.
        labels: The labels, if there are any.
        signature: What the model wants.
        options: Which samples, and how they are prepared.

    Raises:
        DataError: If the columns do not fit each other or the model.
        OptionError: If an option does not fit the model or the number of samples.
    """
    count = _count(columns, labels, name)
    stacked = _stacked(columns, signature)
    batch = _batch(options, signature, stacked=stacked)
    rows = _rows(count, options, name)
    rows, notes = _whole_batches(rows, None if stacked else signature.fixed, name)
    batch = min(batch, len(rows))
    prepare = preparations(signature, options)
    plans = {}
    for key, column in columns.items():
        shape = column.shape[1:] if stacked else (batch, *column.shape[1:])
        where = f"{name}: array {column.name!r} {column.shape}"
        plans[key] = prepare[key].plan(shape, column.dtype, where)
    return RowData(
        name,
        columns,
        plans,
        labels,
        rows,
        batch,
        stacked,
        notes,
        Origin(source, rows),
        signature.fixed,
        signature.fixed_by,
    )


def _read(column: Readable, rows: Rows) -> Array:
    """Take rows; from a file in the order in which they lie there."""
    if isinstance(rows, slice) or not _is_mapped(column):
        return column[rows]
    order = np.argsort(rows, kind="stable")
    raw = np.empty((len(rows), *column.shape[1:]), column.dtype)
    raw[order] = column[rows[order]]
    return raw


def _is_mapped(column: object) -> TypeGuard[Array]:
    """Say whether an array is a view of a file, whatever it was made of on the way."""
    whole = column
    while isinstance(whole, np.ndarray) and whole.base is not None:
        whole = whole.base
    return isinstance(column, np.ndarray) and isinstance(whole, mmap)


def _count(columns: Mapping[str, Column], labels: Column | None, name: str) -> int:
    for column in columns.values():
        if not column.shape:
            raise DataError(f"{name}: array {column.name!r} has no axis that counts samples")
    counts = {column.name: column.shape[0] for column in columns.values()}
    count = next(iter(counts.values()))
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{array!r} has {size}" for array, size in counts.items())
        raise DataError(
            f"{name}: the arrays differ in their number of samples: {listed}; the first axis "
            "counts samples, or whole runs if the model has no batch axis"
        )
    if labels is not None:
        check_labels(labels, count, f"{name}: array {labels.name!r}")
    if not count:
        raise DataError(f"{name}: array {next(iter(counts))!r} is empty: it has no samples")
    return count


def _stacked(columns: Mapping[str, Column], signature: Signature) -> bool:
    """Say whether every array has one axis more than its input: rows are whole runs."""
    return not signature.batched and all(
        i.shape is not None and len(columns[i.name].shape) == len(i.shape) + 1
        for i in signature.inputs
    )


def _batch(options: Options, signature: Signature, *, stacked: bool) -> int:
    fixed, asked = 1 if stacked else signature.fixed, options.batch
    if fixed is not None and asked not in {None, fixed}:
        assert asked is not None
        raise no_batch_axis(asked) if stacked else wrong_batch(asked, fixed, signature.fixed_by)
    return fixed or asked or DEFAULT_BATCH


def _rows(count: int, options: Options, name: str) -> range | Array:
    if options.offset >= count:
        raise OptionError(f"offset={options.offset}: {name} has only {count} samples")
    stop = count if options.limit is None else min(count, options.offset + options.limit)
    if options.shuffle is None:
        return range(options.offset, stop)
    order = np.random.default_rng(options.shuffle).permutation(count)
    return order[options.offset : stop]


def _whole_batches(
    rows: range | Array, fixed: int | None, name: str
) -> tuple[range | Array, tuple[str, ...]]:
    """Leave out what does not fill a batch of a model that takes `fixed` samples at once."""
    over = len(rows) % fixed if fixed else 0
    if not over:
        return rows, ()
    if over == len(rows):
        raise DataError(
            f"{name} has {over} samples, and the model takes {fixed} at once; give more, or make "
            f"its first dimension dynamic: {FREE_IT}"
        )
    return rows[:-over], (f"the last {over} samples are left out: the model takes {fixed} at once",)
