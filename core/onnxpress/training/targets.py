"""Which tensors are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnxpress.errors import UsageError
from onnxpress.select import select

if TYPE_CHECKING:
    from onnxpress.graph.model import Model


def choose_parameters(
    model: Model, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the names of the parameters of chosen layers, each once, in the order of the graph.

    A tensor that is shared with a layer left out stays as it is.

    Args:
        model: The model.
        include: Patterns of layers to train; none means all.
        exclude: Patterns of layers to leave as they are.

    Raises:
        UnknownNameError: If a pattern matches no layer.
        UsageError: If nothing is left.
    """
    chosen = set(select(model.layers, include, exclude)) if include or exclude else None
    left = [x for x in model.layers if chosen is not None and x not in chosen]
    shared = {w.name for layer in left for w in layer.tensors}
    names = dict.fromkeys(
        w.name
        for layer in model.layers
        if chosen is None or layer in chosen
        for w in layer.tensors
        if w.trainable and w.name not in shared
    )
    if not names:
        raise UsageError(f"there is nothing to train: {_why(model)}")
    return tuple(names)


def _why(model: Model) -> str:
    if model.layers:
        return "no layer that was chosen stores floating-point weights"
    if any(value.is_initializer() for value in model.ir.graph.inputs):
        return (
            "all stored weights are also inputs, which callers may override; freeze=true drops that"
        )
    return "the model has no layers with weights"
