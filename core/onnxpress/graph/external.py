"""External data: where the bytes of tensors lie that are not in the ``.onnx`` file itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import onnx_ir as ir
from onnx.external_data_helper import ExternalDataInfo

from onnxpress.data.batch import Array
from onnxpress.errors import ModelError
from onnxpress.graph.protos import tensors

Replace: TypeAlias = Callable[[ir.TensorProtocol], ir.TensorProtocol]


def resolve_external(proto: onnx.ModelProto, path: Path) -> None:
    """Check the data files of the model at `path` and put full paths in place of locations.

    A data file must lie below the folder of `path`, or below the folder that `path`
    links to: a download cache links both files to one folder of blobs, but a model
    must not get at other files of whoever loads it.

    Raises:
        ModelError: If a file is missing, too short, or outside; says which, and which tensor.
    """
    folders = [path.parent.resolve(), path.resolve().parent]
    sizes: dict[str, tuple[Path, int]] = {}
    for tensor in tensors(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            info = ExternalDataInfo(tensor)
            if info.location not in sizes:
                sizes[info.location] = _find(info.location, path.parent, folders, tensor.name)
            file, size = sizes[info.location]
            _check_length(tensor, info, file, size)
            _set_location(tensor, str(file))


def _find(location: str, folder: Path, allowed: list[Path], name: str) -> tuple[Path, int]:
    file = (folder / location).absolute()
    real = file.resolve()
    if not location or not any(real.is_relative_to(a) for a in allowed):
        raise ModelError(
            f"the data of tensor {name!r} is said to be in {location!r}, which is outside the "
            f"folder {folder} of the model; move the file beside the model"
        )
    if not real.is_file():
        raise ModelError(
            f"the data of tensor {name!r} should be in {file}, but there is no such file; "
            "copy it from where the model came from, under the same name"
        )
    return real, real.stat().st_size


def _check_length(tensor: onnx.TensorProto, info: ExternalDataInfo, file: Path, size: int) -> None:
    needed = math.ceil(math.prod(tensor.dims) * ir.DataType(tensor.data_type).bitwidth / 8)
    end = (info.offset or 0) + needed
    if end > size or (info.length or needed) < needed:
        raise ModelError(
            f"{file} is too short: tensor {tensor.name!r} needs bytes {info.offset or 0} to {end}, "
            f"the file has {size}; it is damaged or belongs to another model"
        )


def _set_location(tensor: onnx.TensorProto, location: str) -> None:
    for entry in tensor.external_data:
        if entry.key == "location":
            entry.value = location


class FromFiles(ir.Tensor[Array]):
    """A tensor in memory that was made of data files.

    Attributes:
        files: Those files.
    """

    files: tuple[Path, ...] = ()


def data_files(stored: Iterable[ir.TensorProtocol]) -> set[Path]:
    """Return the data files from which tensors are, or were, read."""
    found: set[Path] = set()
    for tensor in stored:
        if isinstance(tensor, ir.ExternalTensor):
            found.add(Path(tensor.path))
        elif isinstance(tensor, FromFiles):
            found.update(tensor.files)
    return found


def stored_tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    """Yield every tensor of a model: initializers and attributes, at any depth."""
    for value in _initializers(model):
        if value.const_value is not None:
            yield value.const_value
    for node in nodes_of(model):
        for attribute in node.attributes.values():
            yield from _tensors_of(attribute)


def replace_tensors(model: ir.Model, replace: Replace) -> None:
    """Put ``replace(tensor)`` in place of every tensor of a model, in place."""
    for value in _initializers(model):
        if value.const_value is not None:
            value.const_value = replace(value.const_value)
    for node in nodes_of(model):
        for attribute in list(node.attributes.values()):
            if new := _replaced(attribute, replace):
                node.attributes[attribute.name] = new


def in_memory(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """Read the bytes of a tensor, if they lie in a file."""
    if not isinstance(tensor, ir.ExternalTensor):
        return tensor
    return ir.Tensor(np.array(tensor.numpy()), tensor.dtype, name=tensor.name)


def _initializers(model: ir.Model) -> Iterator[ir.Value]:
    for graph in model.graphs():
        yield from graph.initializers.values()
    for function in model.functions.values():
        for graph in function.subgraphs():
            yield from graph.initializers.values()


def nodes_of(model: ir.Model) -> Iterator[ir.Node]:
    """Yield every node of a model: of subgraphs and of functions too."""
    yield from model.graph.all_nodes()
    for function in model.functions.values():
        yield from function.all_nodes()


def _tensors_of(attribute: ir.Attr) -> Iterator[ir.TensorProtocol]:
    if attribute.is_ref():
        return
    if attribute.type == ir.AttributeType.TENSOR:
        yield attribute.as_tensor()
    elif attribute.type == ir.AttributeType.TENSORS:
        yield from attribute.as_tensors()


def _replaced(attribute: ir.Attr, replace: Replace) -> ir.Attr | None:
    old = list(_tensors_of(attribute))
    new = [replace(tensor) for tensor in old]
    if all(a is b for a, b in zip(old, new, strict=True)):
        return None
    value = new if attribute.type == ir.AttributeType.TENSORS else new[0]
    return ir.Attr(attribute.name, attribute.type, value, doc_string=attribute.doc_string)
