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

    A tensor that is shared with a layer left out stays as it is, and so does one that is stored
    inside a function of the model.

    Args:
        model: The model.
        include: Patterns of layers to train; none means all.
        exclude: Patterns of layers to leave as they are.

    Raises:
        UnknownNameError: If a pattern matches no layer.
        UsageError: If nothing is left.
    """
    left = left_alone(model, include, exclude) | {*inside_functions(model)}
    names = dict.fromkeys(
        w.name
        for layer in model.layers
        for w in layer.tensors
        if w.trainable and w.name not in left
    )
    if not names:
        raise UsageError(f"there is nothing to train: {_why(model)}")
    return tuple(names)


def left_alone(
    model: Model, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> frozenset[str]:
    """Return the names of all that layers store that are not to be trained.

    Raises:
        UnknownNameError: If a pattern matches no layer.
    """
    if not include and not exclude:
        return frozenset()
    chosen = set(select(model.layers, include, exclude))
    return frozenset(w.name for x in model.layers if x not in chosen for w in x.tensors)


def inside_functions(model: Model) -> tuple[str, ...]:
    """Return the names of parameters that functions store themselves; they can't be trained."""
    bodies = (node for body in model.ir.functions.values() for node in body.all_nodes())
    inner = {value for node in bodies for value in node.outputs}
    return tuple(
        dict.fromkeys(
            w.name
            for layer in model.layers
            for w in layer.tensors
            if w.trainable and w.value in inner
        )
    )


def _why(model: Model) -> str:
    if inside_functions(model):
        return "the weights that were chosen are stored inside functions of the model"
    if model.layers:
        return "no layer that was chosen stores floating-point weights"
    if any(value.is_initializer() for value in model.ir.graph.inputs):
        return (
            "all stored weights are also inputs, which callers may override; freeze=true drops that"
        )
    return "the model has no layers with weights"
