"""What several checks need: one way to fail, and one way to compare models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import onnx_ir as ir

if TYPE_CHECKING:
    from onnxpress.graph.model import Model


def require(condition: object, message: str) -> None:
    """Raise `AssertionError` unless `condition`; unlike ``assert``, also under ``python -O``."""
    if not condition:
        raise AssertionError(message)


def require_json(value: object, what: str) -> None:
    """Require that `value` can be written as JSON."""
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{what} can't be written as JSON: {error}") from error


def as_bytes(model: Model) -> bytes:
    """Return the model as one protobuf, the same bytes for the same model."""
    return bytes(ir.to_proto(model.ir).SerializeToString(deterministic=True))
