"""Which tensors a model's file stores packed: a list of names in the model's metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

import onnx_ir as ir

PACKED: Final = "onnxpress.packed"
"""The key in ``metadata_props``: the names of tensors to pack, as a JSON list."""


def packed_names(graph: ir.Model) -> list[str]:
    """Return the names of the tensors that saving packs; nothing if the record is no list."""
    try:
        names = json.loads(graph.metadata_props.get(PACKED, "[]"))
    except ValueError:  # someone else's text under our key
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def mark_packed(graph: ir.Model, names: Iterable[str]) -> None:
    """Replace the list, in place; without names there is none."""
    if every := sorted(set(names)):
        graph.metadata_props[PACKED] = json.dumps(every, separators=(",", ":"))
    else:
        graph.metadata_props.pop(PACKED, None)
