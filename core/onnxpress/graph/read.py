"""Reading models (H2 is widening this)."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from onnxpress.errors import ModelError
from onnxpress.graph.model import Model


def read_file(path: Path) -> Model:
    return Model(ir.load(path), path)


def read_proto(proto: onnx.ModelProto) -> Model:
    return Model(ir.from_proto(proto))


def check(model: ir.Model) -> None:
    try:
        onnx.checker.check_model(ir.to_proto(model))
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the model fails onnx.checker: {error}") from error
