"""Optimizers: how a gradient changes a parameter, as nodes of the training graph.

The formulas are those of PyTorch 2 (`torch.optim`), to which results are compared; LAMB is
that of You et al. 2019 (arXiv:1904.00962).  Parameters in half precision are updated in
float32, and so are their slots.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, TypeAlias, final

import numpy as np
from pydantic import Field, model_validator

from onnxpress.recipe.chosen import Chosen, Written, by_name, choose

if TYPE_CHECKING:
    from typing import Self

    import onnx_ir as ir

    from onnxpress.autodiff.builder import Builder
    from onnxpress.autodiff.tensor import Tensor

State: TypeAlias = "Mapping[str, Tensor]"
"""The slots of one parameter, by name."""

Beta: TypeAlias = Annotated[float, Field(ge=0, lt=1)]

_DECAY: Final = "what share of a weight, times the learning rate, is taken off"
_EPSILON: Final = "added to the root, so that nothing is divided by 0"


def slot_type(parameter: ir.DataType) -> ir.DataType:
    """Return the element type of the slots of a parameter, in which it is updated as well."""
    from onnx_ir import DataType

    half = parameter in {DataType.FLOAT16, DataType.BFLOAT16}
    return DataType.FLOAT if half else parameter


class Optimizer(Chosen):
    """A rule that updates a parameter."""

    @property
    @abstractmethod
    def slots(self) -> tuple[str, ...]:
        """The names of what is kept for every parameter, from step to step.

        Each has the shape of the parameter, and should have the type `slot_type`; before the
        first step all are zero.
        """

    def build(
        self,
        op: Builder,
        parameter: Tensor,
        gradient: Tensor,
        learning_rate: Tensor,
        state: State,
        step: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Emit one update.

        Args:
            op: Adds the nodes.
            parameter: The parameter.
            gradient: Its gradient.
            learning_rate: A float without axes.
            state: The slots of this parameter.
            step: The number of this step, a float without axes; the first is 1.

        Returns:
            The new parameter, and its new slots.
        """
        assert parameter.dtype is not None  # stored tensors have a type
        kind = slot_type(parameter.dtype)
        p, g, lr = (x.cast(kind) for x in (parameter, gradient, learning_rate))
        before = {name: slot.cast(kind) for name, slot in state.items()}
        result, after = self.update(op, p, g, lr, before, step)
        slots = {name: slot.cast(state[name].dtype) for name, slot in after.items()}
        return result.cast(parameter.dtype), slots

    @abstractmethod
    def update(
        self, op: Builder, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Emit one update; all but `step` are of one element type."""


@final
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted (Sutskever et al. 2013)."""

    name: ClassVar[str] = "sgd"

    momentum: Beta = Field(default=0.0, description="share of the last update that goes on")
    dampening: float = Field(default=0.0, ge=0, le=1, description="share of a gradient left out")
    nesterov: bool = Field(default=False, description="look ahead by the momentum")
    weight_decay: float = Field(default=0.0, ge=0, description=_DECAY)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError("nesterov needs a momentum, and no dampening")
        return self

    @property
    def slots(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def update(
        self, op: Builder, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if self.weight_decay:
            g = g + p * self.weight_decay
        if not self.momentum:
            return p - g * lr, {}
        kept = state["momentum"] * self.momentum
        velocity = kept + self._dampened(op, g, step)
        ahead = g + velocity * self.momentum if self.nesterov else velocity
        return p - ahead * lr, {"momentum": velocity}

    def _dampened(self, op: Builder, g: Tensor, step: Tensor) -> Tensor:
        """Return what a gradient adds; the first one is added as a whole."""
        if not self.dampening:
            return g
        whole, share = (op.constant(np.float64(n)) for n in (1.0, 1 - self.dampening))
        return g * op("Where", step <= 1, whole, share).cast(g.dtype)


class _Moments(Optimizer):
    """What all optimizers share that keep averages of the gradient and of its square."""

    beta1: Beta = Field(default=0.9, description="how slowly the average of gradients follows")
    beta2: Beta = Field(default=0.999, description="how slowly the average of squares follows")

    @property
    def slots(self) -> tuple[str, ...]:
        return "mean", "square"

    def moments(self, g: Tensor, state: State) -> dict[str, Tensor]:
        """Return the new averages: ``m ← m + (1-β₁)(g - m)``, ``v ← β₂ v + (1-β₂) g²``."""
        mean = state["mean"] + (g - state["mean"]) * (1 - self.beta1)
        square = state["square"] * self.beta2 + g * g * (1 - self.beta2)
        return {"mean": mean, "square": square}

    def corrections(self, op: Builder, step: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``1 - β₁ᵗ`` and ``√(1 - β₂ᵗ)`` in float64: near 1, float32 would lose digits."""
        t = _double(step)
        first, second = (1 - op.constant(beta, t.dtype) ** t for beta in (self.beta1, self.beta2))
        return first, op("Sqrt", second)

    def ratio(
        self, op: Builder, new: State, step: Tensor, factor: Tensor | None, epsilon: float
    ) -> Tensor:
        """Return ``factor · m̂ / (√v̂ + ε)``, where hats mean that the bias is corrected."""
        kind = new["mean"].dtype
        first, second = self.corrections(op, step)
        # m/c₁ / (√v/c₂ + ε) = (c₂/c₁) · m / (√v + ε·c₂): numbers are gathered in one place.
        scale = second / first
        if factor is not None:
            scale = _double(factor) * scale
        root = op("Sqrt", new["square"]) + (second * epsilon).cast(kind)
        return new["mean"] / root * scale.cast(kind)


@final
class Adam(_Moments):
    """Adam (Kingma & Ba 2015); weight decay is added to the gradient."""

    name: ClassVar[str] = "adam"

    epsilon: float = Field(
        default=1e-8, gt=0, description="added to the root, against dividing by 0"
    )
    weight_decay: float = Field(default=0.0, ge=0, description=_DECAY)

    def update(
        self, op: Builder, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if self.weight_decay:
            g = g + p * self.weight_decay
        new = self.moments(g, state)
        return p - self.ratio(op, new, step, lr, self.epsilon), new


@final
class AdamW(_Moments):
    """Adam whose weight decay is apart from the gradient (Loshchilov & Hutter 2019)."""

    name: ClassVar[str] = "adamw"

    epsilon: float = Field(
        default=1e-8, gt=0, description="added to the root, against dividing by 0"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="how much of a weight is taken off")

    def update(
        self, op: Builder, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        new = self.moments(g, state)
        kept = p * (1 - lr * self.weight_decay) if self.weight_decay else p
        return kept - self.ratio(op, new, step, lr, self.epsilon), new


@final
class LAMB(_Moments):
    """Adam whose steps are as long as the weights of each tensor allow, for large batches."""

    name: ClassVar[str] = "lamb"

    epsilon: float = Field(
        default=1e-6, gt=0, description="added to the root, against dividing by 0"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="how much of a weight is taken off")

    def update(
        self, op: Builder, p: Tensor, g: Tensor, lr: Tensor, state: State, step: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        new = self.moments(g, state)
        change = self.ratio(op, new, step, None, self.epsilon) + p * self.weight_decay
        return p - change * (lr * _trust(op, p, change)), new


def _double(x: Tensor) -> Tensor:
    from onnx_ir import DataType

    return x.cast(DataType.DOUBLE)


def _trust(op: Builder, p: Tensor, change: Tensor) -> Tensor:
    """Return ``‖p‖ / ‖change‖``, and 1 where either is 0."""
    own, other = (op("Sqrt", (x * x).sum(keepdims=False)) for x in (p, change))
    one = op.constant(1, p.dtype)
    usable = op("And", own > 0, other > 0)
    return op("Where", usable, own, one) / op("Where", usable, other, one)


OPTIMIZERS: Final = by_name(SGD, Adam, AdamW, LAMB)


def make_optimizer(written: Written[Optimizer]) -> Optimizer:
    """Return the optimizer that is meant: ``"sgd:momentum=0.9"``; see `choose`."""
    return choose(Optimizer, OPTIMIZERS, "optimizer", written)  # type: ignore[type-abstract]
