"""ONNX: the format everything else is turned into."""

from __future__ import annotations

from collections.abc import Iterable

from onnxpress import Importer, hookimpl
from onnxpress_onnx.importer import OnnxImporter

__all__ = ["OnnxImporter"]


@hookimpl
def onnxpress_importers() -> Iterable[type[Importer]]:
    return [OnnxImporter]
