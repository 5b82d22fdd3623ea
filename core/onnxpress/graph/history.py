"""What onnxpress writes into a model's metadata: where it came from, what was done to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import onnx_ir as ir

T = TypeVar("T")

SOURCE: Final = "onnxpress.source"
HISTORY: Final = "onnxpress.history"
KEPT_OPSET: Final = "kept_opset"
"""The key in the source that says why a model stayed at its opset, where it had to."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model came from and which steps were applied to it, oldest first."""

    source: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]


def read_provenance(model: ir.Model) -> Provenance:
    """Read what earlier runs wrote; a model that onnxpress never saw has no history."""
    steps: list[Mapping[str, Any]] = _read(model, HISTORY, [])
    return Provenance(
        source=_read(model, SOURCE, {}),
        history=tuple(step for step in steps if isinstance(step, dict)),
    )


def write_source(model: ir.Model, source: Mapping[str, Any]) -> None:
    """Record the original opset, IR version and producer; the first record stays."""
    model.metadata_props.setdefault(SOURCE, _dump(source))


def append_step(model: ir.Model, step: Mapping[str, Any]) -> None:
    """Add one step to the history."""
    steps: list[Mapping[str, Any]] = _read(model, HISTORY, [])
    model.metadata_props[HISTORY] = _dump([*steps, step])


def _read(model: ir.Model, key: str, default: T) -> T:
    try:
        found = json.loads(model.metadata_props.get(key, "null"))
    except ValueError:
        found = None
    # It may be someone else's text under our key.
    return found if isinstance(found, type(default)) else default


def _dump(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
