"""Lists of names in a model's metadata: what steps note for later ones, also across files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir


def noted_names(graph: ir.Model, key: str) -> list[str]:
    """Return the names under a key of ``metadata_props``; none if what is there is no list."""
    try:
        names = json.loads(graph.metadata_props.get(key, "[]"))
    except ValueError:  # someone else's text under our key
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def note_names(graph: ir.Model, key: str, names: Iterable[str]) -> None:
    """Write names under a key, sorted and each once, as a JSON list, in place."""
    graph.metadata_props[key] = json.dumps(sorted(set(names)), separators=(",", ":"))
