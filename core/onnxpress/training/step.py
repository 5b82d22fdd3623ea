"""The training step as one graph: forward, objectives, backward, update."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import onnx_ir as ir

from onnxpress.autodiff.backward import Walk
from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.gathering import gather
from onnxpress.autodiff.prepare import annotate, prepare
from onnxpress.autodiff.recomputing import Recomputing, recomputing
from onnxpress.autodiff.rules import GRADIENTS
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import UsageError
from onnxpress.graph.layers import find_layers
from onnxpress.graph.names import values_by_name
from onnxpress.training.batch_norm import to_training_form
from onnxpress.training.constraints import Constraint
from onnxpress.training.goal import Goal
from onnxpress.training.lift import collect_constants, lift_parameters, starts
from onnxpress.training.loss import LOSS, add_losses, drop_unused, weighted_sum
from onnxpress.training.state import Slot
from onnxpress.training.update import Update

if TYPE_CHECKING:
    from onnxpress.contract import Objective
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule
    from onnxpress.training.labels import LabelInput
    from onnxpress.training.masking import Masked

__all__ = ["LOSS", "NORM", "Plan", "Step", "build_step"]

NORM: Final = "norm of the gradient"


@dataclass(frozen=True)
class Plan:
    """What a step does.

    Attributes:
        parameters: Names of the stored tensors to train.
        objectives: What to minimise: their sum, each times its weight.
        update: How parameters follow their gradients.
        batch_norm: Whether batch normalisation goes by the batch and keeps running statistics.
        constraints: What holds for parameters after every step, by name.
        rules: Rules of plugins for the table ``gradient``.
        left_alone: Names of stored tensors that must not change, running statistics too.
        masked: How parameters are masked, by name; those that are not trained are passed over.
        recompute: Into how many parts to cut the forward pass, of which one after the other is
            computed again on the way back; 0 for the square root of the number of its nodes;
            None keeps all that is needed.
    """

    parameters: Sequence[str]
    objectives: Sequence[Objective]
    update: Update
    batch_norm: bool = True
    constraints: Mapping[str, Constraint] = field(default_factory=dict)
    rules: Sequence[Rule] = ()
    left_alone: Collection[str] = ()
    masked: Mapping[str, Masked] = field(default_factory=dict)
    recompute: int | None = None


@dataclass(frozen=True)
class Step:
    """A training step, as a model.

    Its inputs are those of the model that is trained, then labels, the slots, and those of the
    update (learning rate, number of the step); its outputs the losses, the norm of the
    gradient over all parameters before clipping, and what the slots become.

    Attributes:
        model: The graph.
        slots: What is carried from step to step; parameters first, in order.
        labels: Where labels go in.
        losses: Names of the outputs that hold each objective's loss, unweighted.
        unused: Parameters on which the loss does not depend; they are no slots.
    """

    model: Model
    slots: tuple[Slot, ...]
    labels: tuple[LabelInput, ...]
    losses: tuple[str, ...]
    unused: tuple[str, ...]


def build_step(model: Model, plan: Plan, labels: Array | None) -> Step:
    """Build the step that trains a model.

    Args:
        model: What to train; it stays as it is.
        plan: What a step does.
        labels: Those of the first batch, if the data has any: they say of what kind labels are.

    Raises:
        UsageError: If an objective does not fit the model, a parameter is no float, or the
            loss depends on no parameter.
        DataError: If the labels of the first batch do not fit.
        MissingRuleError: If an operator has no gradient rule.
    """
    return _Builder(model, plan).step(labels)


class _Builder:
    """Builds one step; its methods are its phases, in order."""

    def __init__(self, model: Model, plan: Plan) -> None:
        self._plan = plan
        self._edit = model.edit()
        self._graph = self._edit.graph
        self._walk = Walk(GRADIENTS + plan.rules, self._edit.ir.opset_imports)
        collect_constants(self._edit.ir)
        anything = [v.name or "" for node in self._graph for v in node.outputs]
        prepare(self._edit.ir, self._walk, anything, plan.parameters)
        self._layers = find_layers(self._edit.ir)
        self._statistics = to_training_form(self._graph, plan.left_alone) if plan.batch_norm else {}
        if self._statistics:
            annotate(self._edit.ir)
        lifted = [*plan.parameters, *self._statistics]
        self._starts = starts(self._graph, lifted)
        self._inputs = lift_parameters(self._graph, lifted)
        values = values_by_name(self._edit.ir)
        self._outputs = {v.name or "": values[v.name or ""] for v in self._graph.outputs}
        self._op = Builder(self._graph, set(values), prefix="t")

    def step(self, labels: Array | None) -> Step:
        """Add everything to the forward pass, and return the whole."""
        self._graph.outputs.clear()
        inputs, losses = add_losses(self._goal(), self._plan.objectives, labels)
        losses = self._gathered(losses)
        loss = weighted_sum(self._op, self._plan.objectives, losses)
        nodes = list(self._graph)
        gradients = self._walk.back(
            self._op,
            nodes,
            {loss.value: self._op.filled(loss, 1)},
            [self._inputs[name] for name in self._plan.parameters],
            self._recomputing(nodes),
        )
        used = [name for name in self._plan.parameters if self._inputs[name] in gradients]
        if not used:
            raise UsageError("the loss depends on none of the parameters that are to be trained")
        finite = [loss, *losses.values()]
        slots = self._update({n: gradients[self._inputs[n]] for n in used}, finite)
        self._publish(loss, LOSS)
        names = tuple(self._publish(part, f"{LOSS}: {name}") for name, part in losses.items())
        unused = tuple(name for name in self._plan.parameters if name not in used)
        drop_unused(self._edit.ir, {*self._plan.parameters, *(label.name for label in inputs)})
        kept = {value.name for value in self._graph.inputs}
        fed = tuple(label for label in inputs if label.name in kept)
        return Step(self._edit.done(), tuple(slots), fed, names, unused)

    def _recomputing(self, nodes: Sequence[ir.Node]) -> Recomputing | None:
        parts = self._plan.recompute
        return None if parts is None else recomputing(nodes, parts, values_by_name(self._edit.ir))

    def _gathered(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Replace what exporters write out by single operators: less to keep for the way back.

        Not before objectives have read what they want: then it stays.
        """
        needed = [*(loss.value for loss in losses.values()), *self._statistics.values()]
        if gather(self._edit.ir, needed):  # a builder doesn't notice when nodes disappear
            self._op = Builder(self._graph, set(values_by_name(self._edit.ir)), prefix="t")
        return {name: self._op.tensor(loss.value) for name, loss in losses.items()}

    def _goal(self) -> Goal:
        parameters = {n: self._op.tensor(self._inputs[n]) for n in self._plan.parameters}
        return Goal(
            self._op, self._outputs, values_by_name(self._edit.ir), parameters, self._layers
        )

    def _update(self, gradients: Mapping[str, Tensor], losses: Sequence[Tensor]) -> list[Slot]:
        parameters = {name: self._op.tensor(self._inputs[name]) for name in gradients}
        statistics = {
            name: self._op.tensor(value).cast(self._inputs[name].dtype)
            for name, value in self._statistics.items()
        }
        constraints = self._plan.constraints
        emitted = self._plan.update.emit(
            self._op, parameters, gradients, losses, constraints, statistics, self._plan.masked
        )
        self._publish(emitted.norm, NORM)
        return [
            Slot(
                given,
                "" if slot.result is None else self._publish(slot.result, f"next {given}"),
                partial(slot.initial, self._starts[slot.parameter]),
                slot.parameter,
                slot.role,
            )
            for given, slot in emitted.slots.items()
        ]

    def _publish(self, tensor: Tensor, wished: str) -> str:
        """Make a tensor an output under a name of its own."""
        node = ir.Node("", "Identity", [tensor.value], num_outputs=1)
        output = node.outputs[0]
        output.name = node.name = self._op.name(wished)
        dtype = tensor.dtype or ir.DataType.FLOAT
        output.type = ir.TensorType(dtype)
        output.shape = None if tensor.shape is None else ir.Shape(tensor.shape)
        self._graph.append(node)
        self._graph.outputs.append(output)
        return output.name
