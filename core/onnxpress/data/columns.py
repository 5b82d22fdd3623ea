"""Columns: arrays whose first axis counts samples, opened now and read when needed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxpress.data.batch import Array
from onnxpress.errors import DataError

Rows: TypeAlias = slice | npt.NDArray[np.int64]

_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # an encrypted archive
)
_CHUNK: Final = 1 << 20


class Readable(Protocol):
    """What a loaded column is: rows can be taken out of it."""

    def __getitem__(self, rows: Rows, /) -> Array: ...


@dataclass(frozen=True, slots=True)
class Column:
    """An array that is known by its shape until it is loaded.

    Attributes:
        name: What errors call it.
        shape: All of its dimensions; the first counts samples.
        dtype: Its element type.
        load: Given the first row and the one after the last, returns these rows; may map
            them from the file instead of reading them.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[int, int], Readable]

    @classmethod
    def of(cls, name: str, array: Array) -> Column:
        """Make one of an array in memory."""
        return cls(name, array.shape, array.dtype, lambda start, stop: array[start:stop])


def open_npy(path: Path) -> dict[str, Column]:
    """Open a ``.npy`` file, memory-mapped, as a single column called like the file.

    Raises:
        DataError: If it is damaged or no ``.npy`` file.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(file)
        _check_size(header, path.stat().st_size - header.size)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    return {path.name: _column(path.name, header, partial(_map, path, header, header.size))}


def open_npz(path: Path) -> dict[str, Column]:
    """Open the arrays of a ``.npz`` file; only their headers are read.

    Members stored without compression are memory-mapped.  Of compressed ones no more
    than the rows in use is kept.

    Raises:
        DataError: If the archive is damaged, or holds something else than arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            found = [_member(path, archive, member) for member in members]
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    if not found:
        raise DataError(f"{path} holds no arrays; numpy.savez writes files that do")
    return {column.name: column for column in found}


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    size: int

    @property
    def row(self) -> int:
        """The bytes of one row."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def _read_header(file: IO[bytes]) -> _Header:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of the array format is for records, not for numbers")
    return _Header(shape, fortran, dtype, file.tell())


def _check_size(header: _Header, stored: int) -> None:
    if not header.dtype.hasobject and stored < header.bytes:
        raise ValueError(f"it is cut off: {stored} of {header.bytes} bytes are there")


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Column:
    with archive.open(member) as file:
        header = _read_header(file)
    _check_size(header, member.file_size - header.size)
    if member.compress_type == zipfile.ZIP_STORED:
        start = _content(path, member) + header.size
        load = partial(_map, path, header, start)
    else:
        load = partial(_decompress, path, member.filename, header)
    return _column(member.filename.removesuffix(".npy"), header, load)


def _content(path: Path, member: zipfile.ZipInfo) -> int:
    """Return where the bytes of a member begin: after its local header (APPNOTE.TXT 4.3.7)."""
    with path.open("rb") as file:
        file.seek(member.header_offset + 26)
        lengths = file.read(4)
    name, extra = int.from_bytes(lengths[:2], "little"), int.from_bytes(lengths[2:], "little")
    return member.header_offset + 30 + name + extra


def _column(name: str, header: _Header, load: Callable[[int, int], Readable]) -> Column:
    return Column(name, header.shape, header.dtype, load)


def _map(path: Path, header: _Header, offset: int, start: int, stop: int) -> Readable:
    order = "F" if header.fortran else "C"
    try:
        array = np.memmap(path, header.dtype, "r", offset, header.shape, order)  # type: ignore[call-overload]
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    rows: Array = array[start:stop]
    return rows


def _decompress(path: Path, member: str, header: _Header, start: int, stop: int) -> Readable:
    first, last = (0, header.shape[0]) if header.fortran else (start, stop)
    raw = np.empty((last - first) * header.row, np.uint8)
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            file.seek(header.size + first * header.row)
            _fill(file, raw.data)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    order = "F" if header.fortran else "C"
    array: Array = raw.view(header.dtype).reshape((last - first, *header.shape[1:]), order=order)  # type: ignore[call-overload]
    return array[start:stop] if header.fortran else array


def _fill(file: IO[bytes], view: memoryview) -> None:
    while view:
        chunk = file.read(min(_CHUNK, len(view)))
        if not chunk:
            raise EOFError("it ends too early")
        view[: len(chunk)] = chunk
        view = view[len(chunk) :]


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} can't be read as arrays: {error}")
