"""The loss of a model as a graph: forward pass, objectives, their sum; nothing is trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from onnxpress.autodiff.activity import leads
from onnxpress.autodiff.backward import Walk
from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.prepare import prepare
from onnxpress.autodiff.rules import GRADIENTS
from onnxpress.errors import DataError, UsageError
from onnxpress.graph.layers import find_layers
from onnxpress.graph.names import values_by_name
from onnxpress.training.goal import Goal
from onnxpress.training.labels import LabelInput, add_label_input
from onnxpress.training.lift import collect_constants

if TYPE_CHECKING:
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.contract import Objective
    from onnxpress.data.batch import Array, Batch
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule

LOSS: Final = "loss of the batch"


@dataclass(frozen=True)
class Loss:
    """The loss of a model on a batch, as a model.

    Its inputs are those of the model, then labels; its only output is `LOSS`.  Weights are
    stored in its main graph, under the names that they have in the model.

    Attributes:
        model: The graph.
        labels: Where labels go in.
        scores: The tensor of the model through which alone it acts on the loss: what comes
            before a Softmax or Sigmoid at its end.  None if there are several such tensors.
    """

    model: Model
    labels: tuple[LabelInput, ...]
    scores: str | None

    def feeds(self, batch: Batch, where: str) -> dict[str, Array]:
        """Return what to feed for a batch: its inputs, and its labels as objectives read them.

        Args:
            batch: A batch of data of the model.
            where: Which batch this is, for errors.

        Raises:
            DataError: If it has no labels, or they do not fit.
        """
        return {**batch.feeds, **read_labels(self.labels, batch, where)}

    def unreached(self, names: Sequence[str], rules: Sequence[Rule] = ()) -> list[str]:
        """Return those stored tensors, of some, on which the loss does not depend."""
        graph = self.model.ir.graph
        walk = Walk(GRADIENTS + rules, self.model.ir.opset_imports)
        reached = {value.name for value in leads(list(graph), graph.outputs, walk.moves)}
        return [name for name in names if name not in reached]


def build_loss(
    model: Model,
    objectives: Sequence[Objective],
    labels: Array | None,
    parameters: Sequence[str],
    rules: Sequence[Rule] = (),
) -> Loss:
    """Build the loss of a model in inference form: normalisation by running statistics.

    Args:
        model: The model; it stays as it is.
        objectives: What is summed, each times its weight.
        labels: Those of the first batch, if the data has any: they say of what kind labels are.
        parameters: Names of the stored tensors that penalties look at.
        rules: Rules of plugins for the table ``gradient``.

    Raises:
        UsageError: If an objective does not fit the model.
        DataError: If the labels of the first batch do not fit.
    """
    edit = model.edit()
    graph = edit.graph
    collect_constants(edit.ir)
    walk = Walk(GRADIENTS + rules, edit.ir.opset_imports)
    prepare(edit.ir, walk, [v.name or "" for node in graph for v in node.outputs], parameters)
    values = values_by_name(edit.ir)
    own = set(values.values())
    op = Builder(graph, set(values), prefix="l")
    goal = Goal(
        op,
        {v.name or "": v for v in graph.outputs},
        values,
        {name: op.tensor(values[name]) for name in parameters},
        find_layers(edit.ir),
    )
    graph.outputs.clear()
    inputs, losses = add_losses(goal, objectives, labels)
    loss = weighted_sum(op, objectives, losses)
    node = ir.Node("", "Identity", [loss.value], num_outputs=1, name=op.name(LOSS))
    node.outputs[0].name, node.outputs[0].shape = node.name, ir.Shape([])
    node.outputs[0].type = ir.TensorType(loss.dtype or ir.DataType.FLOAT)
    graph.append(node)
    graph.outputs.append(node.outputs[0])
    drop_unused(edit.ir, {label.name for label in inputs})
    kept = {value.name for value in graph.inputs}
    fed = tuple(label for label in inputs if label.name in kept)
    return Loss(edit.done(), fed, _scores(graph, own, walk))


def add_losses(
    goal: Goal, objectives: Sequence[Objective], labels: Array | None
) -> tuple[list[LabelInput], dict[str, Tensor]]:
    """Emit every objective's loss; return where labels go in, and the losses by name.

    Raises:
        UsageError: If an objective does not fit the model.
        DataError: If the labels do not fit.
    """
    inputs: list[LabelInput] = []
    losses: dict[str, Tensor] = {}
    for objective in objectives:
        given = None
        if labels is not None and not objective.penalty:
            label, given = add_label_input(goal, objective, labels)
            inputs.append(label)
        losses[_unlike(objective.name, losses)] = objective.build(replace(goal, labels=given))
    return inputs, losses


def weighted_sum(
    op: Builder, objectives: Sequence[Objective], losses: Mapping[str, Tensor]
) -> Tensor:
    """Sum losses, each times the weight of its objective.

    Raises:
        UsageError: If there is no objective.
    """
    terms = [
        loss if objective.weight == 1 else loss * objective.weight
        for objective, loss in zip(objectives, losses.values(), strict=True)
    ]
    if not terms:
        raise UsageError("there is nothing to minimise; give an objective")
    return op.add([term.cast(terms[0].dtype) for term in terms])


def drop_unused(model: ir.Model, optional: Collection[str]) -> None:
    """Drop the nodes that nothing reads, and those inputs of `optional`, in place."""
    RemoveUnusedNodesPass()(model)
    for value in list(model.graph.inputs):
        if value.name in optional and not value.uses() and not value.is_graph_output():
            model.graph.inputs.remove(value)


def read_labels(inputs: Sequence[LabelInput], batch: Batch, where: str) -> dict[str, Array]:
    """Return what to feed where labels go in.

    Raises:
        DataError: If the batch has no labels, or they do not fit.
    """
    if batch.labels is None and inputs:
        raise DataError(f"{where} has no labels, and the first batch had some")
    return {
        label.name: label.read(batch.labels, where) for label in inputs if batch.labels is not None
    }


_ENDS: Final = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})


def _scores(graph: ir.Graph, own: Collection[ir.Value], walk: Walk) -> str | None:
    """Return the one tensor among those of the model that nodes of the loss read."""
    read: dict[ir.Value, None] = {}
    for node in graph:
        if walk.moves(node) and not any(value in own for value in node.outputs):
            inputs = (value for value in node.inputs if value is not None)
            read.update(dict.fromkeys(v for v in inputs if v in own and _is_computed(v)))
    if len(read) != 1:
        return None
    value = next(iter(read))
    end = value.producer()
    before = end.inputs[0] if end is not None and end.op_type in _ENDS else None
    return value.name if before is None or len(before.uses()) > 1 else before.name


def _is_computed(value: ir.Value) -> bool:
    if value.producer() is None:
        return False
    return value.dtype is None or value.dtype.is_floating_point()


def _unlike(name: str, taken: Mapping[str, object]) -> str:
    """Return `name`, numbered if it is taken."""
    number = 2
    result = name
    while result in taken:
        result = f"{name} {number}"
        number += 1
    return result
