"""`OnnxImporter`: files, bytes and protobufs that are ONNX already."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from onnxpress import Importer
from onnxpress.errors import ModelError, UsageError

if TYPE_CHECKING:
    from onnxpress import Model
    from onnxpress.data.batch import Array, Feeds


@final
class OnnxImporter(Importer):
    """Reads an ``.onnx`` file, its bytes, or an `onnx.ModelProto`."""

    name: ClassVar[str] = "onnx"

    def accepts(self, source: object) -> bool:
        if isinstance(source, str | os.PathLike):
            return Path(source).suffix.lower() == ".onnx"
        return isinstance(source, bytes) or _is_proto(source)

    def load(self, source: object, example_inputs: Sequence[Array] | Feeds | None = None) -> Model:
        from onnxpress import Model

        if isinstance(source, str | os.PathLike):
            return Model.load(source)
        if isinstance(source, bytes):
            return _from_bytes(source)
        if _is_proto(source):
            return Model.from_proto(source)  # type: ignore[arg-type]
        raise UsageError(
            f"the onnx importer reads a path, bytes or an onnx.ModelProto, not {type(source)!r}"
        )


def _is_proto(source: object) -> bool:
    onnx = sys.modules.get("onnx")  # a ModelProto exists only where onnx was imported
    return onnx is not None and isinstance(source, onnx.ModelProto)


def _from_bytes(source: bytes) -> Model:
    import onnx

    from onnxpress import Model

    try:
        proto = onnx.ModelProto.FromString(source)
    except Exception as error:  # protobuf's DecodeError; the package ships no types
        raise ModelError(f"these {len(source)} bytes are no ONNX model: {error}") from error
    if not proto.HasField("graph"):
        raise ModelError(f"these {len(source)} bytes are no ONNX model: they hold no graph")
    return Model.from_proto(proto)
