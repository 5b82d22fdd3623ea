"""What every result must be before anybody gets to see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnxpress.errors import ModelError
from onnxpress.graph.types import TensorType, type_of
from onnxpress.packing.stored import stored_model
from onnxpress.session import Session

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.graph.model import Model


def verify(result: Model, original: Model) -> Session | None:
    """Check a result: the interface of the original, valid ONNX, loads in ONNX Runtime.

    It is checked, and loaded, as it will be written: with packed tensors packed.

    Returns:
        The loaded result; None if ONNX Runtime loads neither it nor the original, as with
        custom operators, so that nothing can be tried.

    Raises:
        ModelError: If the result is anything less; says what.
    """
    _check_same("inputs", original.inputs, result.inputs)
    _check_same("outputs", original.outputs, result.outputs)
    written = stored_model(result)
    written.check()
    try:
        return Session(written)
    except ModelError:
        if _loads(original):
            raise
        return None


def _loads(model: Model) -> bool:
    try:
        Session(model, optimize=False)
    except ModelError:
        return False
    return True


def _check_same(what: str, wanted: Sequence[ir.Value], found: Sequence[ir.Value]) -> None:
    ours, theirs = _signature(wanted), _signature(found)
    if ours != theirs:
        raise ModelError(
            f"the {what} are no longer those of the original: they were {_listed(ours)}, "
            f"now they are {_listed(theirs)}"
        )


def _signature(values: Sequence[ir.Value]) -> list[tuple[str, TensorType]]:
    return [(value.name or "", type_of(value)) for value in values]


def _listed(signature: Sequence[tuple[str, TensorType]]) -> str:
    return ", ".join(f"{name} {_type(kind)}" for name, kind in signature) or "none"


def _type(kind: TensorType) -> str:
    dtype = "?" if kind.dtype is None else kind.dtype.name.lower()
    return dtype if kind.shape is None else f"{dtype}{[dim or '?' for dim in kind.shape]}"
