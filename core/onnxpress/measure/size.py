"""The files that make up a model."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir


def external_files(model: ir.Model) -> list[Path]:
    """Return the files of external data that a model refers to, each once, sorted."""
    tensors = (
        value.const_value for graph in model.graphs() for value in graph.initializers.values()
    )
    found = {Path(t.path).resolve() for t in tensors if isinstance(t, ir.ExternalTensor)}
    return sorted(file for file in found if file.is_file())
