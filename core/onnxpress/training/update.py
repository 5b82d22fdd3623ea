"""How parameters follow their gradients: accumulate, clip, the optimizer, constraints, averages.

All of it is the branch of one If that runs where the losses and the gradient are finite, so
a step that went wrong changes nothing.  Everything else that reads a parameter runs before the
If, and its branch works element by element, so that new values may lie where the old ones do;
in it, a new value must follow from everything that reads the old one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.tensor import Tensor
from onnxpress.training.clipping import clip_by_norm, clip_by_value, global_norm
from onnxpress.training.lift import Start
from onnxpress.training.masked import MaskSlots
from onnxpress.training.state import Next, slot_input

if TYPE_CHECKING:
    from onnxpress.training.constraints import Constraint
    from onnxpress.training.masking import Masked
    from onnxpress.training.optimizers import Optimizer

RATE: Final = "learning rate"
COUNT: Final = "number of the update"
APPLY: Final = "whether to update"
SHARE: Final = "share of each batch in the update"
ACCUMULATED: Final = "accumulated gradient"


@dataclass
class Emitted:
    """What an update computes.

    Attributes:
        norm: The norm of the gradient over all parameters, before clipping.
        slots: What each slot becomes, by the name of the input that gives it; parameters first.
    """

    norm: Tensor
    slots: dict[str, Next]


@dataclass(frozen=True)
class Update:
    """How parameters follow their gradients.

    Attributes:
        optimizer: The rule.
        clip_norm: The largest norm of the gradient over all parameters; None for any.
        clip_value: The largest magnitude of an element of the gradient; None for any.
        accumulate: Over how many batches gradients are averaged before each update; where an
            epoch ends early, over those that came.
        average: The share of the old value in the moving average of every parameter, such as
            0.999; None keeps no average.
    """

    optimizer: Optimizer
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    average: float | None = None

    def emit(  # what an update depends on, each by name
        self,
        op: Builder,
        parameters: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        losses: Sequence[Tensor],
        constraints: Mapping[str, Constraint],
        statistics: Mapping[str, Tensor] | None = None,
        masked: Mapping[str, Masked] | None = None,
    ) -> Emitted:
        """Emit what the parameters become.

        Args:
            op: Adds the nodes.
            parameters: The parameters, by name.
            gradients: Their gradients, by the same names.
            losses: Numbers without axes that have to be finite.
            constraints: What holds for parameters afterwards, by name.
            statistics: What follows every batch, whether there is an update or not: what each
                input of the graph becomes, by its name.
            masked: How parameters are masked, by name.

        Adds the inputs `RATE`, float; `COUNT`, float, 1 at the first update; and, if gradients
        are accumulated, `APPLY`, bool: false adds up and leaves everything else as it is; and
        `SHARE`, float: what the sum of the gradients is multiplied by when it is applied.
        """
        rate, count = (_scalar(op, name, ir.DataType.FLOAT) for name in (RATE, COUNT))
        wide = {n: g.cast(parameters[n].dtype) for n, g in gradients.items()}
        masks = MaskSlots(op, parameters, masked or {})
        norm = global_norm(list(masks.reaching(wide).values()))
        finite = _all_finite(op, [norm, *losses])
        branch = _Branch(self, op, parameters, constraints, masks, rate, count)
        always = {n: Next(t, n, Start.array, "statistic") for n, t in (statistics or {}).items()}
        if self.accumulate == 1:
            updated = {**branch.updated(wide), **always}
            return Emitted(norm, {**branch.only_if(finite, updated), **masks.read})
        apply = _scalar(op, APPLY, ir.DataType.BOOL)
        share = _scalar(op, SHARE, ir.DataType.FLOAT)
        added = branch.accumulated(wide)
        sums = dict(zip(wide, map(_result, added.values()), strict=True))
        whole = {name: total * share.cast(total.dtype) for name, total in sums.items()}
        emptied = {
            given: replace(slot, result=branch.zeros(_result(slot)))
            for given, slot in added.items()
        }
        updated = {**branch.updated(whole), **emptied, **always}
        condition = op("And", finite, apply)
        slots = branch.only_if(condition, updated, {**added, **always})
        return Emitted(norm, {**slots, **masks.read})


@dataclass
class _Branch:
    """The branch that updates, while it is being built."""

    update: Update
    outer: Builder
    parameters: Mapping[str, Tensor]
    constraints: Mapping[str, Constraint]
    masks: MaskSlots
    rate: Tensor
    count: Tensor
    graph: ir.Graph = field(init=False)
    op: Builder = field(init=False)

    def __post_init__(self) -> None:
        self.graph = ir.Graph([], [], nodes=[], name="update")
        self.op = self.outer.inner(self.graph)

    def accumulated(self, gradients: Mapping[str, Tensor]) -> dict[str, Next]:
        """Emit, outside, the sums over batches so far, this one included."""
        found = {}
        for name, gradient in gradients.items():
            before = slot_input(self.outer, f"{ACCUMULATED} of {name}", self.parameters[name])
            found[before.name] = Next(before + gradient, name, Start.zeros, "accumulated")
        return found

    def updated(self, gradients: Mapping[str, Tensor]) -> dict[str, Next]:
        """Emit what every slot becomes, by the name of the input that gives it."""
        pushes = self.masks.pushes(gradients)
        reaching = self.masks.reaching(gradients)
        clipped = self._clipped({n: self._inside(g) for n, g in reaching.items()})
        found: dict[str, Next] = {}
        rest: dict[str, Next] = {}
        unmasked: dict[str, Tensor] = {}
        for name, gradient in clipped.items():
            state = {s: self._slot(s, name) for s in self.update.optimizer.slots}
            new, remembered = self.update.optimizer.build(
                self.op,
                self._inside(self.masks.trained(name)),
                gradient,
                self._inside(self.rate),
                state,
                self._inside(self.count),
            )
            if name in self.constraints:
                new = self.constraints[name].apply(new)
            unmasked[name] = new
            new = self.masks.apply(self.op, name, new)
            found[name] = Next(new, name, self.masks.start(name), "parameter")
            for slot, tensor in remembered.items():
                rest[state[slot].name] = Next(tensor, name, Start.zeros, "optimizer")
            rest.update(self._average(name, new))
        beside = self.masks.beside(self.op, unmasked, gradients, pushes, self._inside(self.rate))
        return {**found, **rest, **beside}

    def zeros(self, like: Tensor) -> Tensor:
        """Emit zeros that are made when they are needed: ONNX Runtime stores constants."""
        nothing = self._inside(self.count).cast(ir.DataType.INT64) * 0
        sizes = self._inside(like).sizes() + nothing
        dtype = like.dtype or ir.DataType.FLOAT
        value = ir.Tensor(np.zeros(1, dtype.numpy()), dtype=dtype)
        result = self.op("ConstantOfShape", sizes, value=value)
        return self.op.typed(result.value, dtype, like.shape)

    def only_if(
        self,
        condition: Tensor,
        updated: Mapping[str, Next],
        otherwise: Mapping[str, Next] | None = None,
    ) -> dict[str, Next]:
        """Close the If: `updated` where the condition holds, else `otherwise` or no change."""
        kept = ir.Graph([], [], nodes=[], name="no update")
        inputs = {value.name: value for value in self.outer.graph.inputs}
        for given, slot in updated.items():
            changed = (otherwise or {}).get(given)
            old = inputs[given] if changed is None else _result(changed).value
            _output(self.op, self.graph, _result(slot).value, inputs[given])
            _output(self.outer.inner(kept), kept, old, inputs[given])
        outputs = [ir.Value(name=self.outer.name(f"{given} after")) for given in updated]
        bodies = [ir.AttrGraph("then_branch", self.graph), ir.AttrGraph("else_branch", kept)]
        node = ir.Node("", "If", [condition.value], bodies, outputs=outputs, name="update")
        self.outer.graph.append(node)
        return {
            given: replace(slot, result=self._like(value, inputs[given]))
            for (given, slot), value in zip(updated.items(), outputs, strict=True)
        }

    def _clipped(self, gradients: dict[str, Tensor]) -> dict[str, Tensor]:
        update = self.update
        if update.clip_norm is not None:
            clipped = clip_by_norm(list(gradients.values()), update.clip_norm)
            gradients = dict(zip(gradients, clipped, strict=True))
        if update.clip_value is not None:
            clipped = clip_by_value(list(gradients.values()), update.clip_value)
            gradients = dict(zip(gradients, clipped, strict=True))
        return gradients

    def _average(self, name: str, new: Tensor) -> dict[str, Next]:
        """Emit ``a · average + (1 - a) · parameter``, if averages are kept."""
        share = self.update.average
        if share is None:
            return {}
        given = slot_input(self.outer, averaged_name(name), self.parameters[name])
        before = self._inside(given)
        after = self.masks.apply(self.op, name, before * share + new * (1 - share))
        return {before.name: Next(after, name, self.masks.start(name), "average")}

    def _slot(self, slot: str, name: str) -> Tensor:
        return self._inside(slot_input(self.outer, f"{slot} of {name}", self.parameters[name]))

    def _inside(self, tensor: Tensor) -> Tensor:
        return self.op.tensor(tensor.value)

    def _like(self, value: ir.Value, like: ir.Value) -> Tensor:
        value.type, value.shape = like.type, like.shape
        return self.outer.tensor(value)


def averaged_name(parameter: str) -> str:
    """Return the name of the slot that holds the moving average of a parameter."""
    return f"average of {parameter}"


def _all_finite(op: Builder, numbers: Sequence[Tensor]) -> Tensor:
    """Return whether numbers without axes are all finite; all that they depend on runs before."""
    total = op.add([number.cast(ir.DataType.FLOAT) for number in numbers])
    return (total * 0).equal(0)


def _output(op: Builder, body: ir.Graph, value: ir.Value, like: ir.Value) -> None:
    """Add an output to a body; ONNX Runtime requires that a node in it computes it."""
    node = value.producer()
    if node is None or node.graph is not body or value in body.outputs:
        node = ir.Node("", "Identity", [value], num_outputs=1)
        node.outputs[0].name = node.name = op.name(f"{like.name} then")
        body.append(node)
        value = node.outputs[0]
    value.type, value.shape = like.type, like.shape
    body.outputs.append(value)


def _scalar(op: Builder, name: str, dtype: ir.DataType) -> Tensor:
    value = ir.Value(name=op.name(name), shape=ir.Shape([]), type=ir.TensorType(dtype))
    op.graph.inputs.append(value)
    return op.tensor(value)


def _result(slot: Next) -> Tensor:
    assert slot.result is not None  # only masks have none
    return slot.result
