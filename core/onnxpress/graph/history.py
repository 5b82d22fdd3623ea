"""What onnxpress writes into a model's metadata: where it came from, what was done to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import onnx_ir as ir

if TYPE_CHECKING:
    import onnx

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
    return Provenance(source=_read(model, SOURCE, {}), history=tuple(_steps(model)))


def source_of(proto: onnx.ModelProto) -> dict[str, Any]:
    """Return where a model comes from, as far as its file says so by itself."""
    opsets = {i.domain: i.version for i in proto.opset_import}
    return {
        "opset": opsets.get(""),
        "ir_version": proto.ir_version,
        "producer": " ".join(filter(None, (proto.producer_name, proto.producer_version))),
    }


def drop_plain_source(proto: onnx.ModelProto) -> None:
    """Drop the source from the metadata, in place, if reading would write the same again."""
    plain = _dump(source_of(proto))
    for i, prop in enumerate(proto.metadata_props):
        if (prop.key, prop.value) == (SOURCE, plain):
            del proto.metadata_props[i]
            return


def write_source(model: ir.Model, source: Mapping[str, Any]) -> None:
    """Record the original opset, IR version and producer; the first record stays."""
    model.metadata_props.setdefault(SOURCE, _dump(source))


def append_step(model: ir.Model, step: Mapping[str, Any]) -> None:
    """Add one step to the history.

    What `read_provenance` fills in again is not written: options if there are none, and the
    version of onnxpress where it is that of the step before.
    """
    written: list[Mapping[str, Any]] = _read(model, HISTORY, [])
    usual = _usual_after(list(_steps(model)))
    short = {key: value for key, value in step.items() if key not in usual or usual[key] != value}
    model.metadata_props[HISTORY] = _dump([*written, short])


def _steps(model: ir.Model) -> Iterator[Mapping[str, Any]]:
    """Yield the steps of the history, complete."""
    written: list[Mapping[str, Any]] = _read(model, HISTORY, [])
    usual = _usual_after([])
    for step in written:
        if isinstance(step, dict):
            yield {**usual, **step}
            usual = _usual_after([{**usual, **step}])


def _usual_after(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a step need not say that follows complete ones."""
    last = steps[-1] if steps else {}
    return {"options": {}, **{key: last[key] for key in ("onnxpress",) if key in last}}


def _read(model: ir.Model, key: str, default: T) -> T:
    try:
        found = json.loads(model.metadata_props.get(key, "null"))
    except ValueError:
        found = None
    # It may be someone else's text under our key.
    return found if isinstance(found, type(default)) else default


def _dump(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
