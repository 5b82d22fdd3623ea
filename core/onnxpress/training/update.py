"""How parameters follow their gradients: accumulate, clip, the optimizer, constraints, averages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import onnx_ir as ir

from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.tensor import Tensor
from onnxpress.training.clipping import clip_by_norm, clip_by_value, global_norm
from onnxpress.training.lift import Start

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.training.constraints import Constraint
    from onnxpress.training.optimizers import Optimizer

RATE: Final = "learning rate"
COUNT: Final = "number of the update"
APPLY: Final = "whether to update"

Initial: TypeAlias = "Callable[[Start], Array]"
"""Makes what a piece of state is before the first step, from how its parameter starts."""


@dataclass
class Emitted:
    """What an update computes.

    Attributes:
        norm: The norm of the gradient over all parameters, before clipping.
        parameters: What each parameter becomes, by name.
        state: What is remembered besides, by the name of the input that gives it back: what
            it becomes, whose it is, and what it is at first.
    """

    norm: Tensor
    parameters: dict[str, Tensor] = field(default_factory=dict)
    state: dict[str, tuple[Tensor, str, Initial]] = field(default_factory=dict)


@dataclass(frozen=True)
class Update:
    """How parameters follow their gradients.

    Attributes:
        optimizer: The rule.
        clip_norm: The largest norm of the gradient over all parameters; None for any.
        clip_value: The largest magnitude of an element of the gradient; None for any.
        accumulate: Over how many batches gradients are averaged before each update.
        average: The share of the old value in the moving average of every parameter, such as
            0.999; None keeps no average.
    """

    optimizer: Optimizer
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    average: float | None = None

    def emit(
        self,
        op: Builder,
        parameters: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        constraints: Mapping[str, Constraint],
    ) -> Emitted:
        """Emit what the parameters become.

        Adds the inputs `RATE`, float; `COUNT`, float, 1 at the first update; and, if gradients
        are accumulated, `APPLY`, bool: false adds up and leaves everything else as it is.
        """
        rate, count = (_scalar(op, name, ir.DataType.FLOAT) for name in (RATE, COUNT))
        wide = {n: g.cast(parameters[n].dtype) for n, g in gradients.items()}
        emitted = Emitted(global_norm(list(wide.values())))
        apply = _scalar(op, APPLY, ir.DataType.BOOL) if self.accumulate > 1 else None
        if apply is not None:
            wide = self._accumulated(op, wide, apply, emitted)
        for name, gradient in self._clipped(wide).items():
            state = self._state(op, name, parameters[name])
            new, remembered = self.optimizer.build(
                op, parameters[name], gradient, rate, state, count
            )
            if name in constraints:
                new = constraints[name].apply(new)
            emitted.parameters[name] = _if(apply, new, parameters[name])
            for slot, tensor in remembered.items():
                kept = _if(apply, tensor, state[slot])
                emitted.state[_called(slot, name)] = kept, name, Start.zeros
        self._add_averages(op, emitted, apply)
        return emitted

    def _accumulated(
        self, op: Builder, gradients: Mapping[str, Tensor], apply: Tensor, emitted: Emitted
    ) -> dict[str, Tensor]:
        """Return averages over batches; what was added up starts at zero after an update."""
        result = {}
        for name, gradient in gradients.items():
            before = _state_input(op, _called("accumulated", name), gradient)
            whole = before + gradient * (1 / self.accumulate)
            emptied = op("Where", apply, op.zeros_like(whole), whole)
            emitted.state[before.name] = emptied, name, Start.zeros
            result[name] = whole
        return result

    def _clipped(self, gradients: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.clip_norm is not None:
            clipped = clip_by_norm(list(gradients.values()), self.clip_norm)
            gradients = dict(zip(gradients, clipped, strict=True))
        if self.clip_value is not None:
            clipped = clip_by_value(list(gradients.values()), self.clip_value)
            gradients = dict(zip(gradients, clipped, strict=True))
        return gradients

    def _state(self, op: Builder, name: str, parameter: Tensor) -> dict[str, Tensor]:
        slots = self.optimizer.slots
        return {slot: _state_input(op, _called(slot, name), parameter) for slot in slots}

    def _add_averages(self, op: Builder, emitted: Emitted, apply: Tensor | None) -> None:
        """Keep ``a · average + (1 - a) · parameter`` for every parameter."""
        if self.average is None:
            return
        for name, parameter in emitted.parameters.items():
            before = _state_input(op, averaged_name(name), parameter)
            after = before * self.average + parameter * (1 - self.average)
            emitted.state[before.name] = _if(apply, after, before), name, Start.array


def averaged_name(parameter: str) -> str:
    """Return the name of the state that holds the moving average of a parameter."""
    return _called("average", parameter)


def _called(slot: str, parameter: str) -> str:
    return f"{slot} of {parameter}"


def _if(apply: Tensor | None, new: Tensor, old: Tensor) -> Tensor:
    return new if apply is None else new.op("Where", apply, new, old)


def _scalar(op: Builder, name: str, dtype: ir.DataType) -> Tensor:
    value = ir.Value(name=op.name(name), shape=ir.Shape([]), type=ir.TensorType(dtype))
    op.graph.inputs.append(value)
    return op.tensor(value)


def _state_input(op: Builder, name: str, like: Tensor) -> Tensor:
    assert like.dtype is not None
    assert like.fixed is not None  # a parameter's type is known
    kind = ir.TensorType(like.dtype)
    value = ir.Value(name=op.name(name), shape=ir.Shape(like.fixed), type=kind)
    op.graph.inputs.append(value)
    return op.tensor(value)
