"""Masks that change while a model is trained: what they do, and who changes them.

A mask is one more slot of the training step, which reads it and never writes it; between two
updates it may be replaced from outside.  So gradual pruning rebuilds no session, and a fit goes
on from a checkpoint bit for bit, masks included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model
    from onnxpress.training.lift import Start
    from onnxpress.training.pace import Pace
    from onnxpress.training.results import Results
    from onnxpress.training.running import Runner
    from onnxpress.training.state import Role, Slot


@dataclass(frozen=True, eq=False)
class Masked:
    """How one parameter is masked while it is trained.

    Attributes:
        kept: The mask before the first update, true where a weight is kept; in its shape.
        below: What becomes of a weight under the mask.

            - ``zero``: it is set to zero, and its gradient does not reach the optimizer;
            - ``trained``: the layer reads zero, while a dense copy beside it is trained
              further with the gradient of what the layer reads (straight-through; Guo et al.
              2016, arXiv:1608.04493, eq. 3), so that it may come back;
            - ``waits``: the dense copy stays as it is, and a score is learned besides:
              ``S ← S - lr · w · ∂L/∂(w ⊙ m)`` (movement pruning, Sanh et al. 2020,
              arXiv:2005.07683, eq. 3 to 5).
        gradient: Whether the gradient of the last update is kept for who changes masks: with
            respect to every weight, those under the mask too.
    """

    kept: Array
    below: Literal["zero", "trained", "waits"] = "zero"
    gradient: bool = False

    def masked_start(self, start: Start) -> Array:
        """Return what the layer reads at first."""
        array = start.array()
        array[~self.kept] = 0
        return array

    def mask(self, start: Start) -> Array:
        """Return the mask at first as numbers, which the step multiplies by."""
        return self.kept.astype(start.dtype)


class Masking(ABC):
    """Masks of a fit, and what changes them.  It holds no state: masks and slots are the state.

    Attributes:
        parameters: What is masked, and how, by name; what is not trained is passed over.
    """

    parameters: Mapping[str, Masked]

    @abstractmethod
    def before(self, moment: Moment) -> None:
        """Change masks if it is time; called once before every update.

        What it does must follow from the moment alone, so that fits can be resumed.
        """

    @abstractmethod
    def settled(self, updates: int, pace: Pace) -> bool:
        """Say whether a model is as sparse as it is to be after so many updates.

        Scores on what is held out count from then on.
        """

    @property
    @abstractmethod
    def text(self) -> str:
        """All that `before` depends on, as text: checkpoints of others are refused."""


class Moment:
    """A fit between two updates, as who changes masks sees it.

    Args:
        updates: How many updates there have been.
        pace: How long an epoch is, and the fit.
        slots: The slots of the step.
        runner: What holds them.
        results: Which of them the model is made of.
    """

    def __init__(
        self, updates: int, pace: Pace, slots: tuple[Slot, ...], runner: Runner, results: Results
    ) -> None:
        self.updates = updates
        self.pace = pace
        self._runner = runner
        self._results = results
        self._by_part: dict[tuple[str, Role], list[str]] = {}
        for slot in slots:
            self._by_part.setdefault((slot.parameter, slot.role), []).append(slot.given)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that have a mask, in order."""
        return tuple(name for name, role in self._by_part if role == "mask")

    def mask(self, name: str) -> Array:
        """Return the mask of a parameter: true where a weight is kept."""
        return np.asarray(self._read(name, "mask") != 0)

    def weight(self, name: str) -> Array:
        """Return a parameter, with what is under the mask if that is kept."""
        return self._read(name, "dense" if self._has(name, "dense") else "parameter")

    def score(self, name: str) -> Array:
        """Return what has been learned as the score of each weight (movement pruning)."""
        return self._read(name, "score")

    def gradient(self, name: str) -> Array:
        """Return the gradient of the last update; zeros before the first."""
        return self._read(name, "gradient")

    def model(self) -> Model:
        """Return the model with the weights of now, and what is under masks if that is kept."""
        state = self._results.of({n: v.numpy() for n, v in self._runner.values().items()})
        dense = {name: self.weight(name) for name in self.names}
        return self._results.with_tensors({**state, **dense})

    def set_masks(self, kept: Mapping[str, Array]) -> None:
        """Replace masks, and what follows from them.

        The layer reads zero where the mask is now false.  Where it was or is false and nothing
        is kept under it, what the optimizer remembers is forgotten: momentum brings no weight
        back, and a weight that grows starts anew, from zero.
        """
        for name, mask in kept.items():
            before = self.mask(name)
            if np.array_equal(before, mask):
                continue
            numbers = mask.astype(self._read(name, "mask").dtype)
            self._write(name, "mask", numbers)
            self._write(name, "parameter", self.weight(name) * numbers)
            if not self._has(name, "dense"):
                self._forget(name, before & mask)

    def _forget(self, name: str, known: Array) -> None:
        """Set what the optimizer remembers to zero, but where it is `known`."""
        for given in self._of(name, "optimizer"):
            array = self._runner.values()[given].numpy()
            self._runner.write(given, np.where(known, array, array.dtype.type(0)))

    def _write(self, name: str, role: Role, array: Array) -> None:
        for given in self._of(name, role):
            self._runner.write(given, array)

    def _read(self, name: str, role: Role) -> Array:
        (given,) = self._of(name, role)
        return np.array(self._runner.values()[given].numpy())  # steps write where it lies

    def _has(self, name: str, role: Role) -> bool:
        return bool(self._of(name, role))

    def _of(self, name: str, role: Role) -> list[str]:
        return self._by_part.get((name, role), [])
