"""Which tensors are trained."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from onnxpress.errors import UnknownNameError, UsageError
from onnxpress.graph.constants import FLOATS, constant_tensor
from onnxpress.select import select

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.graph.model import Model

_FEW: Final = 16  # elements; constants of arithmetic have one, or one for each channel of an image


def choose_parameters(
    model: Model,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    tensors: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return the names of what is trained, each once: of chosen layers in the order of the graph.

    A tensor that is shared with a layer left out stays as it is, and so does one that is stored
    inside a function of the model.

    Args:
        model: The model.
        include: Patterns of layers to train; none means all.
        exclude: Patterns of layers to leave as they are.
        tensors: Names of stored tensors outside layers to train as well, or globs.

    Raises:
        UnknownNameError: If a pattern matches no layer, or no such tensor.
        UsageError: If nothing is left.
    """
    left = left_alone(model, include, exclude) | {*inside_functions(model)}
    names = dict.fromkeys(
        w.name
        for layer in model.layers
        for w in layer.tensors
        if w.trainable and w.name not in left
    )
    names.update(dict.fromkeys(_matching(outside_layers(model), tensors)))
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


def outside_layers(model: Model) -> tuple[str, ...]:
    """Return the names of stored floats that belong to no layer, such as position embeddings.

    They may as well be constants that an exporter stored, so they are trained only if named.
    Tensors of a few elements are left out.
    """
    owned = {w.value for layer in model.layers for w in layer.tensors}
    return tuple(
        name
        for name, value in model.ir.graph.initializers.items()
        if value not in owned and constant_tensor(value) is not None and _is_large(value)
    )


def _is_large(value: ir.Value) -> bool:
    tensor = value.const_value
    return tensor is not None and tensor.dtype in FLOATS and tensor.size >= _FEW


def _matching(names: Sequence[str], patterns: Sequence[str]) -> Iterator[str]:
    for pattern in patterns:
        found = [pattern] if pattern in names else fnmatch.filter(names, pattern)
        if not found:
            raise UnknownNameError("stored tensor outside layers", pattern, names)
        yield from found


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
