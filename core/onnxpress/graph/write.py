"""Writing models (H2 is widening this)."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from onnxpress.graph.model import Model


def write_file(model: Model, path: Path) -> None:
    ir.save(model.ir, path)
