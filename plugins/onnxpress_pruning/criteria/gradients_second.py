"""``grasp``: how the norm of the gradient would change without a weight."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final, final

import numpy as np
from pydantic import Field

from onnxpress.errors import UsageError
from onnxpress_pruning.criteria.criterion import ElementScores, Subject
from onnxpress_pruning.criteria.gradients import Mean, Saliency, looked_up, mean_gradients
from onnxpress_pruning.criteria.passes import open_targets
from onnxpress_pruning.criteria.weights import floats

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model
    from onnxpress_pruning.criteria.passes import Slope

_OF_CLASSES: Final = frozenset({"cross-entropy", "binary-cross-entropy"})
_DIRECTION: Final = "direction.{}"
_PRODUCT: Final = "hessian product.{}"


@final
class Grasp(Saliency):
    """``θ ⊙ Hg``, the lowest go first (Wang et al. 2020, eq. 8: ``-θ ⊙ Hg``, the highest go first).

    H and g are the Hessian and the gradient of the loss on all the data.  What goes first
    would raise the norm of the gradient most by going, or lower it least; scores have signs.
    Class scores are divided by `temperature` before the loss; other losses, such as
    mean-squared-error, know no temperature.  Published with all weights ranked together
    (scope=global), before training, on ten samples of every class.
    """

    name: ClassVar[str] = "grasp"

    temperature: float = Field(
        default=200, gt=0, description="what class scores are divided by before the loss"
    )

    def elements(self, subject: Subject) -> ElementScores:
        slope, weights = open_targets(subject, self.name)
        slope = self._tempered(slope)
        names = list(weights)
        once = slope.gradient(names)
        gradients = mean_gradients(slope.gradients(names, model=once))
        products = _hessian_product(slope, once, gradients)
        return looked_up({name: floats(w) * products[name] for name, w in weights.items()})

    def _tempered(self, slope: Slope) -> Slope:
        of_classes = any(objective.name in _OF_CLASSES for objective in slope.objectives)
        if self.temperature == 1 or not of_classes:
            return slope
        if slope.loss.scores is None:
            raise UsageError(
                f"criterion={self.name} divides class scores by temperature={self.temperature:g}, "
                "and the loss depends on several tensors of the model; give temperature=1"
            )
        model = _divided(slope.loss.model, slope.loss.scores, self.temperature)
        return replace(slope, loss=replace(slope.loss, model=model))


def _divided(model: Model, name: str, by: float) -> Model:
    """Divide a computed tensor by a number, for all who read it."""
    edit = model.edit()
    value = edit.values[name]
    producer, readers = value.producer(), list(value.uses())
    assert producer is not None  # class scores are computed
    number = np.array(by, value.dtype.numpy() if value.dtype is not None else np.float32)
    node = edit.node("Div", [value, edit.constant(number, "temperature")], f"{name} tempered")
    node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
    edit.graph.insert_after(producer, node)
    for reader, index in readers:
        reader.replace_input_with(index, node.outputs[0])
    return edit.done()


def _hessian_product(slope: Slope, once: Model, direction: dict[str, Array]) -> dict[str, Array]:
    """Return the product of the Hessian of the mean loss with a vector, in one pass.

    It is the gradient of ``g·v`` for a v that stays as it is.

    Args:
        slope: The loss.
        once: Its gradient as a graph, which is differentiated once more.
        direction: The vector, by tensor.
    """
    from onnxpress.autodiff import gradient, gradient_name

    names = list(direction)
    twice = gradient(
        once,
        {gradient_name(name): _DIRECTION.format(name) for name in names},
        names,
        rules=slope.job.rules,
        called=_PRODUCT,
    )
    of = {_PRODUCT.format(name): name for name in names}
    given = {_DIRECTION.format(name): array for name, array in direction.items()}
    mean = Mean()
    for found in slope.run(twice, list(of), given=given):
        mean.add({of[name]: array for name, array in found.arrays.items()}, found.size)
    return mean.arrays
