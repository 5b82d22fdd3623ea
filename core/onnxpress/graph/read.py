"""Reading models: from a file or a protobuf to a checked `Model` at the working opset."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from onnxpress.errors import ModelError, UsageError
from onnxpress.graph.checker import check, check_proto
from onnxpress.graph.damage import check_intact
from onnxpress.graph.external import resolve_external
from onnxpress.graph.history import KEPT_OPSET, source_of, write_source
from onnxpress.graph.model import Model
from onnxpress.graph.protos import from_proto, normalize, to_proto
from onnxpress.graph.upgrade import WORKING_OPSET, NoUpgradeError, upgraded
from onnxpress.packing.restored import restore_packed

__all__ = ["check", "read_file", "read_proto"]

OLDEST_OPSET: Final = 7
FIRST_IR_WITH_OPSETS: Final = 3

# What people hand over by mistake: where in the file which bytes are, and what they tell.
_OTHER_FORMATS: Final = (
    (0, b"version https://git-lfs", "a Git LFS pointer; fetch the file itself: git lfs pull"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"PK\x03\x04", "a zip archive, such as a PyTorch checkpoint or a .keras file"),
    (0, b"\x1f\x8b", "a gzip archive; unpack it first"),
    (0, b"\x89HDF", "an HDF5 file, such as a Keras .h5 model"),
    (0, b"<", "a web page or XML; perhaps a download went wrong"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (4, b"ORTM", "an ONNX Runtime .ort file; start from the .onnx file it was made of"),
)


def read_file(path: Path) -> Model:
    """Read an ``.onnx`` file; see `Model.load`."""
    proto = _parse(_bytes_of(path), str(path))
    try:
        resolve_external(proto, path)
        return Model(_graph_of(proto), path)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def read_proto(proto: onnx.ModelProto) -> Model:
    """Take a model from memory; its data files, if any, lie below the current folder."""
    own = onnx.ModelProto()
    own.CopyFrom(proto)
    resolve_external(own, Path.cwd() / "model.onnx")
    return Model(_graph_of(own))


def _bytes_of(path: Path) -> bytes:
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the .onnx file in it")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error


def _parse(data: bytes, name: str) -> onnx.ModelProto:
    if not data:
        raise ModelError(f"{name} is empty")
    for offset, magic, what in _OTHER_FORMATS:
        if data.startswith(magic, offset):
            raise ModelError(f"{name} is no ONNX model: it is {what}")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise ModelError(
            f"{name} is no ONNX model, or it is cut short or damaged; compare its size with that "
            "of the file it was copied from"
        ) from error
    if not proto.HasField("graph"):
        raise ModelError(f"{name} is no ONNX model: it holds no graph")
    return proto


def _graph_of(proto: onnx.ModelProto) -> ir.Model:
    """Turn a protobuf, which is changed, into a checked graph at the working opset."""
    check_intact(proto)
    normalize(proto)
    _check_opset(proto)
    graph = _sorted_graph(proto)
    restore_packed(graph)
    source = source_of(proto)
    try:
        graph = upgraded(graph)
    except NoUpgradeError as error:
        source[KEPT_OPSET] = str(error)
    write_source(graph, source)
    return graph


def _check_opset(proto: onnx.ModelProto) -> None:
    """Refuse a version of ``ai.onnx`` that is too old, or none where the graph needs one."""
    opset = source_of(proto)["opset"]
    if opset is None and any(not node.domain for node in proto.graph.node):
        raise ModelError(
            "the model does not say which operator set it was made for; "
            + (
                f"it comes from before ONNX 1.0 (IR version {proto.ir_version}): export it again"
                if proto.ir_version < FIRST_IR_WITH_OPSETS
                else "it is cut short or damaged: fetch it again"
            )
        )
    if opset is not None and opset < OLDEST_OPSET:
        raise ModelError(
            f"the model is made for opset {opset}; onnxpress reads opset {OLDEST_OPSET} and newer. "
            f"Export it again, or bring it to opset {WORKING_OPSET} with onnx.version_converter"
        )


def _sorted_graph(proto: onnx.ModelProto) -> ir.Model:
    """Make a graph of a valid protobuf; nodes in an order that only ONNX Runtime takes are sorted.

    Raises:
        ModelError: If the model is not valid, with what the checker said.
    """
    try:
        check_proto(proto)
    except ModelError as error:
        if "topologically sorted" not in str(error):
            raise
        proto = _sorted(proto)
        check_proto(proto)
    return _deserialized(proto)


def _sorted(proto: onnx.ModelProto) -> onnx.ModelProto:
    graph = _deserialized(proto)
    try:
        graph.graph.sort()
        return to_proto(graph)
    except ValueError as error:
        raise ModelError("the model is not valid ONNX: its graph has a cycle") from error
    except ir.serde.SerdeError as error:
        raise ModelError(f"the model can't be sorted: {error.__cause__ or error}") from error


def _deserialized(proto: onnx.ModelProto) -> ir.Model:
    try:
        return from_proto(proto)
    except Exception as error:  # onnx_ir lets through whatever fails inside it
        cause = error.__cause__ or error
        raise ModelError(f"the model holds something onnxpress can't represent: {cause}") from error
