"""`gradient`: a model that computes what another one does, and how fast it changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import onnx_ir as ir

from onnxpress.autodiff.activity import depends
from onnxpress.autodiff.backward import Walk
from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.prepare import prepare
from onnxpress.autodiff.recomputing import recomputing
from onnxpress.autodiff.rules import GRADIENTS
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError, UnknownNameError, UsageError
from onnxpress.graph.constants import type_name
from onnxpress.graph.names import values_by_name

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule


CALLED: Final = "grad.{}"


def gradient(
    model: Model,
    of: str | Mapping[str, str],
    wrt: str | Sequence[str],
    *,
    rules: Iterable[Rule] = (),
    through: Iterable[str] = (),
    called: str = CALLED,
    checkpoint: Sequence[str] | int | None = None,
) -> Model:
    """Return a model that also computes the gradient of a tensor, by reverse mode.

    The result has the inputs and the outputs of `model`, then `of` unless it is an output
    already, then one output for each of `wrt`, in its shape, called ``grad.NAME``.
    It holds standard operators only, and can itself be differentiated.

    Args:
        model: What to differentiate.
        of: The name of a float tensor; if it has several elements, their sum is differentiated.
            Or several such, each with the name of a new input that gives the weight of every
            element (a vector-Jacobian product).
        wrt: Names of float tensors: inputs, stored tensors, or anything in between.
        rules: Rules of plugins for the table ``gradient``.
        through: Operators without slope (``Round``, ``Sign``, ``Floor``, ``Ceil``) to
            differentiate as if they were the identity: straight-through estimation.
        called: What the gradients are called; ``{}`` stands for the tensor's name.  Give
            another one to differentiate a gradient again.
        checkpoint: Names of the tensors of the forward pass to keep; all others that the
            backward pass needs are computed again, which takes less memory and more time.  Or
            the number of parts to cut the forward pass in, 0 for the square root of the number
            of its nodes.  By default everything is kept.

    Raises:
        UnknownNameError: If there is no tensor of a name.
        UsageError: If a name for a result is taken already, or `of` depends on none of `wrt`,
            or a tensor is not of floats.
        MissingRuleError: If an operator on the way has no rule; see the message.
        ModelError: If the model can't be changed at all.
    """
    edit = model.edit()
    names = [wrt] if isinstance(wrt, str) else list(wrt)
    walk = Walk(GRADIENTS + rules, edit.ir.opset_imports, frozenset(through))
    prepare(edit.ir, walk, [of] if isinstance(of, str) else list(of), names)
    values = values_by_name(edit.ir)  # the editor's own list is from before preparing
    targets = [_float(values, name) for name in names]
    op = Builder(edit.graph, set(values), prefix="d")
    seeds = _seeds(op, values, of)
    nodes = list(edit.graph)
    again = None if checkpoint is None else recomputing(nodes, checkpoint, values)
    found = walk.back(op, nodes, seeds, targets, again)
    if not found and depends(nodes, targets, walk.moves).isdisjoint(seeds):
        raise UsageError(f"{_listed(seeds)} depends on none of {', '.join(map(repr, names))}")
    for value in seeds:
        if value not in edit.graph.outputs:
            edit.graph.outputs.append(value)
    for value in targets:
        result = found.get(value) or op.zeros_like(op.tensor(value))
        edit.graph.outputs.append(_output(op, result, value, called))
    return edit.done()


def gradient_name(name: str) -> str:
    """Return what the gradient of a tensor is called in the result of `gradient`."""
    return CALLED.format(name)


def _float(values: Mapping[str, ir.Value], name: str) -> ir.Value:
    """Return the value called `name`, which must hold floats of the main graph."""
    if name not in values:
        raise UnknownNameError("tensor", name, values)
    value = values[name]
    if value.dtype is not None and not value.dtype.is_floating_point():
        kind = type_name(value.dtype)
        raise UsageError(f"{name!r} holds {kind}; only floating-point tensors have gradients")
    return value


def _seeds(
    op: Builder, values: Mapping[str, ir.Value], of: str | Mapping[str, str]
) -> dict[ir.Value, Tensor]:
    """Return the gradients to begin with: ones, or new inputs."""
    if isinstance(of, str):
        value = _float(values, of)
        return {value: op.filled(op.tensor(value), 1)}
    return {_float(values, name): _weight(op, values[name], given) for name, given in of.items()}


def _weight(op: Builder, value: ir.Value, name: str) -> Tensor:
    given = ir.Value(name=_new(op, name), type=value.type, shape=value.shape)
    op.graph.inputs.append(given)
    return op.tensor(given)


def _new(op: Builder, name: str) -> str:
    if op.name(name) != name:
        raise UsageError(f"the model has a tensor called {name!r} already; choose another name")
    return name


def _output(op: Builder, result: Tensor, value: ir.Value, called: str) -> ir.Value:
    """Return a value called after the one whose gradient it is, of its type and shape."""
    node = ir.Node("", "Identity", [result.value], num_outputs=1)
    node.outputs[0].name = node.name = _new(op, called.format(value.name))
    node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
    op.graph.append(node)
    if value.type is None:
        raise ModelError(f"the type of {value.name!r} is unknown")
    return node.outputs[0]


def _listed(seeds: Iterable[ir.Value]) -> str:
    return ", ".join(repr(value.name) for value in seeds)
