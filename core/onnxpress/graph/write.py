"""Writing models: all of a file or nothing, and the same bytes for the same model."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import onnx_ir as ir

from onnxpress.atomic import replacing
from onnxpress.errors import ModelError, UsageError
from onnxpress.graph.external import data_files, in_memory, replace_tensors, stored_tensors
from onnxpress.graph.model import Model
from onnxpress.graph.protos import to_proto

LARGEST_PROTOBUF: Final = 2_000_000_000
"""Bytes of tensors; a protobuf ends at 2³¹ - 1, and nodes and names take room too."""

_SMALLEST_EXTERNAL: Final = 1024  # bytes; shapes and axes stay readable without the data file
_CHUNK: Final = 1 << 22  # bytes copied at a time
# A runtime maps a large tensor as it lies in the file, if it begins with a page.
_PAGE: Final = 4096
_CACHE_LINE: Final = 64
_WORTH_A_PAGE: Final = 1 << 16


def write_file(model: Model, path: Path) -> None:
    """Write a model; see `Model.save`."""
    from onnxpress.packing.stored import stored_form

    check_target(model, path)
    graph = stored_form(model.ir)
    try:
        if data_files(stored_tensors(model.ir)) or _needs_data_file(stored_tensors(graph)):
            _write_with_data(graph, path, _data_file(path))
        else:
            with replacing(path) as file:
                file.write(_serialized(graph))
    except OSError as error:
        raise _translated(error, path) from error


def check_target(model: Model, path: Path) -> None:
    """Refuse, before any work, a path to which `model` and what is made of it can't be saved.

    Raises:
        UsageError: If the path can't be written or is a file the model reads from.
    """
    tensors = list(stored_tensors(model.ir))
    _check_target(path, model, tensors)
    if _needs_data_file(tensors):
        _check_target(_data_file(path), model, tensors)


def _data_file(path: Path) -> Path:
    return path.with_name(path.name + ".data")


def _needs_data_file(tensors: Iterable[ir.TensorProtocol]) -> bool:
    total = 0
    for tensor in tensors:
        if data_files([tensor]):
            return True
        total += tensor.nbytes
    return total > LARGEST_PROTOBUF


def _check_target(path: Path, model: Model, tensors: Iterable[ir.TensorProtocol]) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"can't write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise UsageError(f"can't write {path}: it is a folder; give the name of a file in it")
    if path.exists() and not path.is_file():
        raise UsageError(f"can't write {path}: it is no ordinary file")
    if path.exists() and not os.access(path, os.W_OK):
        raise UsageError(f"can't write {path}: the file there is write-protected")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"can't write {path}: no permission to write to the folder {path.parent}")
    read = (*data_files(tensors), *filter(None, [model.path]))
    sources = {file.resolve() for file in read}
    if path.resolve() in sources or _same_file(path, sources):
        raise UsageError(f"can't write {path}: the model is read from that file; choose another")


def _same_file(path: Path, sources: Iterable[Path]) -> bool:
    return path.exists() and any(s.exists() and s.samefile(path) for s in sources)


def _serialized(model: ir.Model) -> bytes:
    """Return the same bytes for the same model."""
    return bytes(to_proto(model).SerializeToString(deterministic=True))


def _write_with_data(model: ir.Model, path: Path, data: Path) -> None:
    """Write both files; the one that refers to the other appears last."""
    copy = model.clone()
    with ExitStack() as stack:
        proto_file = stack.enter_context(replacing(path))
        data_file = stack.enter_context(replacing(data))  # left first, so it is in place first
        replace_tensors(copy, _DataWriter(data_file, data.name).place)
        proto_file.write(_serialized(copy))
        proto_file.flush()  # a full disk shows now, before either file is replaced
        os.fsync(proto_file.fileno())


@dataclass
class _DataWriter:
    """Moves tensors into a data file, one after the other; none is held whole in memory."""

    file: IO[bytes]
    location: str
    placed: dict[int, ir.ExternalTensor] = field(default_factory=dict)

    def place(self, tensor: ir.TensorProtocol) -> ir.TensorProtocol:
        if tensor.dtype == ir.DataType.STRING:
            return tensor
        if tensor.nbytes < _SMALLEST_EXTERNAL:
            return in_memory(tensor)
        if id(tensor) not in self.placed:
            self.placed[id(tensor)] = self._append(tensor)
        return self.placed[id(tensor)]

    def _append(self, tensor: ir.TensorProtocol) -> ir.ExternalTensor:
        alignment = _PAGE if tensor.nbytes >= _WORTH_A_PAGE else _CACHE_LINE
        self.file.write(b"\0" * (-self.file.tell() % alignment))
        offset = self.file.tell()
        _copy_bytes(tensor, self.file)
        return ir.ExternalTensor(
            self.location,
            offset,
            tensor.nbytes,
            tensor.dtype,
            shape=ir.Shape(tensor.shape.numpy()),
            name=tensor.name or "",
            doc_string=tensor.doc_string,
        )


def _copy_bytes(tensor: ir.TensorProtocol, file: IO[bytes]) -> None:
    if isinstance(tensor, ir.ExternalTensor):
        with open(tensor.path, "rb") as source:
            source.seek(tensor.offset or 0)
            _copy(source, file, tensor.nbytes)
    else:
        file.write(tensor.tobytes())


def _copy(source: IO[bytes], target: IO[bytes], length: int) -> None:
    while length > 0:
        chunk = source.read(min(length, _CHUNK))
        if not chunk:
            raise ModelError(f"{source.name} became shorter while it was copied")
        target.write(chunk)
        length -= len(chunk)


def _translated(error: OSError, path: Path) -> ModelError | UsageError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ModelError(
            f"can't write {path}: the disk is full; what was there before is still there"
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return UsageError(f"can't write {path}: {error.strerror}")
    return ModelError(f"can't write {path}: {error.strerror or error}")
