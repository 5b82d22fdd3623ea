"""How many bytes a model takes up, in memory and on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import onnx
import onnx_ir as ir
from onnx_ir.serde import TensorProtoTensor

from onnxpress.graph.constants import shape_of
from onnxpress.graph.external import data_files, replace_tensors, stored_tensors
from onnxpress.graph.protos import to_proto

if TYPE_CHECKING:
    from onnxpress.graph.model import Model

_SMALL: Final = 4096  # tensors up to here are simply serialised


def bytes_in_memory(model: ir.Model) -> int:
    """Return the bytes of all stored tensors; one that several graphs share counts once."""
    return sum({id(tensor): tensor.nbytes for tensor in stored_tensors(model)}.values())


def bytes_stored(model: Model) -> int:
    """Return the size of the model on disk, external data included.

    That is the size of its files if it is as it was loaded, and what saving would
    write if it was edited or never was in a file.
    """
    if model.path is None or model.edited:
        from onnxpress.packing.stored import stored_form

        return serialized_bytes(stored_form(model.ir))
    return sum(path.stat().st_size for path in files(model))


def files(model: Model) -> tuple[Path, ...]:
    """Return the files that a model was loaded from: the ``.onnx`` file, then its data files."""
    if model.path is None:
        return ()
    return model.path, *sorted(data_files(stored_tensors(model.ir)))


def serialized_bytes(model: ir.Model) -> int:
    """Return how many bytes saving would write, without making them.

    External data counts without the padding between tensors.
    """
    copy, left_out = model.clone(), list[int]()

    def header(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
        if tensor.nbytes <= _SMALL:
            return tensor
        proto = onnx.TensorProto(
            name=tensor.name or "", data_type=tensor.dtype.value, dims=shape_of(tensor)
        )
        left_out.append(_growth(proto.ByteSize(), tensor.nbytes))
        return TensorProtoTensor(proto)

    replace_tensors(copy, header)
    return int(to_proto(copy).ByteSize()) + sum(left_out)


def _growth(header: int, data: int) -> int:
    """Return by how much a message of `header` bytes grows when `data` bytes go into a field."""
    field = 1 + _varint(data) + data
    return field + _varint(header + field) - _varint(header)


def _varint(number: int) -> int:
    """Return the length of a number in protobuf's encoding, seven bits a byte."""
    return max(1, -(-number.bit_length() // 7))
