"""Which tensors a model's file stores packed: a list of names in the model's metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import onnx_ir as ir

from onnxpress.graph.noted import note_names, noted_names

PACKED: Final = "onnxpress.packed"
"""The key in ``metadata_props``: the names of tensors to pack, as a JSON list."""


def packed_names(graph: ir.Model) -> list[str]:
    """Return the names of the tensors that saving packs; nothing if the record is no list."""
    return noted_names(graph, PACKED)


def mark_packed(graph: ir.Model, names: Iterable[str]) -> None:
    """Replace the list, in place; without names there is none."""
    if every := set(names):
        note_names(graph, PACKED, every)
    else:
        graph.metadata_props.pop(PACKED, None)
