"""What a fit gives back: which slots hold what the stored tensors of a model become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from onnxpress.graph.weights import STATISTICS
from onnxpress.training.lift import with_results
from onnxpress.training.update import averaged_name

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model
    from onnxpress.training.step import Step

T = TypeVar("T")


class Results:
    """The tensors of a model that a step changes, and the slots that are given back for them.

    Where a moving average is kept, it is given back instead of the parameter itself.

    Args:
        model: The model.
        step: What trains it.
    """

    def __init__(self, model: Model, step: Step) -> None:
        self._model = model
        slots = [slot.given for slot in step.slots]
        stored = {*model.ir.graph.initializers, *model.parameters}
        self._slots = {
            name: averaged_name(name) if averaged_name(name) in slots else name
            for name in slots
            if name in stored
        }

    @property
    def trained(self) -> tuple[str, ...]:
        """All but running statistics, in order."""
        roles = {w.name: w.role for layer in self._model.layers for w in layer.tensors}
        return tuple(name for name in self._slots if roles.get(name) not in STATISTICS)

    def of(self, slots: Mapping[str, T]) -> dict[str, T]:
        """Return what the tensors are now, by name."""
        return {name: slots[slot] for name, slot in self._slots.items()}

    def model(self, slots: Mapping[str, Array]) -> Model:
        """Return the model with the tensors as they are now."""
        return self.with_tensors(self.of(slots))

    def with_tensors(self, arrays: Mapping[str, Array]) -> Model:
        """Return the model with other values for some of its stored tensors, by name."""
        edit = self._model.edit()
        with_results(edit.ir, arrays)
        return edit.done()
