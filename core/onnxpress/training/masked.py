"""What masks add to a training step: slots, and nodes before and inside of the update.

Inside, a weight's new value is written where the old one lies, so everything that reads an old
value beside what replaces it (the product of weight and gradient that scores learn from) is
computed before; see `onnxpress.training.update`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnxpress.training.lift import Start
from onnxpress.training.state import Next, slot_input

if TYPE_CHECKING:
    from onnxpress.autodiff.builder import Builder
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.training.masking import Masked
    from onnxpress.training.state import Initial


@dataclass
class MaskSlots:
    """The slots that belong to masks, while a step is being built.

    Attributes:
        op: Adds nodes around the update.
        parameters: The parameters that are trained, by name.
        masked: How some of them are masked; others of these are passed over.
    """

    op: Builder
    parameters: Mapping[str, Tensor]
    masked: Mapping[str, Masked]
    masks: dict[str, Tensor] = field(init=False)
    dense: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.masked = {n: masked for n, masked in self.masked.items() if n in self.parameters}
        self.masks = {name: self._slot("mask", name) for name in self.masked}
        self.dense = {
            n: self._slot("dense", n) for n, m in self.masked.items() if m.below != "zero"
        }

    @property
    def read(self) -> dict[str, Next]:
        """The slots that the step reads only, by the name of their input."""
        return {
            mask.name: Next(None, name, self.masked[name].mask, "mask")
            for name, mask in self.masks.items()
        }

    def reaching(self, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Emit, outside, what of each gradient reaches the optimizer."""
        return {
            name: gradient * self.masks[name]
            if name in self.masks and self.masked[name].below != "trained"
            else gradient
            for name, gradient in gradients.items()
        }

    def trained(self, name: str) -> Tensor:
        """Return what the optimizer updates: a parameter, or the dense copy beside it."""
        return self.dense.get(name, self.parameters[name])

    def start(self, name: str) -> Initial:
        """Return what makes a parameter as the layer reads it at first."""
        return self.masked[name].masked_start if name in self.masked else Start.array

    def apply(self, op: Builder, name: str, updated: Tensor) -> Tensor:
        """Emit, inside, an updated parameter as the layer is to read it."""
        if name not in self.masks:
            return updated
        return updated * op.tensor(self.masks[name].value)

    def pushes(self, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Emit, outside, ``w · ∂L/∂(w ⊙ m)`` for all whose score is learned."""
        return {
            name: gradients[name] * self.trained(name)
            for name, masked in self.masked.items()
            if masked.below == "waits"
        }

    def beside(
        self,
        op: Builder,
        updated: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        pushes: Mapping[str, Tensor],
        rate: Tensor,
    ) -> dict[str, Next]:
        """Emit, inside, what the other slots of masked parameters become.

        Args:
            op: Adds nodes inside.
            updated: What the optimizer made of each, before the mask.
            gradients: The gradients with respect to all weights.
            pushes: Those of `pushes`.
            rate: The learning rate, inside.
        """
        found = {
            dense.name: Next(updated[name], name, Start.array, "dense")
            for name, dense in self.dense.items()
        }
        for name, masked in self.masked.items():
            if masked.gradient:
                given = self._slot("gradient", name)
                kept = op.tensor(gradients[name].value)
                found[given.name] = Next(kept, name, Start.zeros, "gradient")
        for name, push in pushes.items():
            given = self._slot("score", name)
            learned = op.tensor(push.value) * rate.cast(push.dtype)
            found[given.name] = Next(op.tensor(given.value) - learned, name, Start.zeros, "score")
        return found

    def _slot(self, role: str, name: str) -> Tensor:
        return slot_input(self.op, f"{role} of {name}", self.parameters[name])
