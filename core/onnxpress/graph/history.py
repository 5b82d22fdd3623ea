"""What onnxpress writes into a model's metadata: where it came from, what was done to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import onnx_ir as ir

SOURCE: Final = "onnxpress.source"
HISTORY: Final = "onnxpress.history"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model came from and which steps were applied to it, oldest first."""

    source: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]


def read_provenance(model: ir.Model) -> Provenance:
    """Read what earlier runs wrote; a model that onnxpress never saw has no history."""
    return Provenance(
        source=_read(model, SOURCE, {}),
        history=tuple(_read(model, HISTORY, [])),
    )


def write_source(model: ir.Model, source: Mapping[str, Any]) -> None:
    """Record the original opset, IR version and producer; the first record stays."""
    model.metadata_props.setdefault(SOURCE, _dump(source))


def append_step(model: ir.Model, step: Mapping[str, Any]) -> None:
    """Add one step to the history."""
    model.metadata_props[HISTORY] = _dump([*_read(model, HISTORY, []), step])


def _read(model: ir.Model, key: str, default: Any) -> Any:
    try:
        return json.loads(model.metadata_props.get(key, "null")) or default
    except ValueError:  # someone else's text under our key
        return default


def _dump(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
