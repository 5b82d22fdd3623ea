"""What a criterion is: from a model to the worth of its weights, or of its channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxpress.errors import OptionError
from onnxpress.recipe.chosen import Chosen

if TYPE_CHECKING:
    from onnxpress.channels import Group
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight
    from onnxpress.job import Job

Scores: TypeAlias = npt.NDArray[np.floating[Any]]
ElementScores: TypeAlias = "Callable[[Weight], Scores]"
"""Returns one score per element, in the shape of the weight; what scores lowest goes first."""
ChannelScores: TypeAlias = "Callable[[Group], Scores]"
"""Returns one score per channel of a group; what scores lowest goes first, infinity never."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a criterion may look at.

    Attributes:
        model: The model as it is now.
        targets: The stored tensors that are to be ranked, of the layers of `model`.
        job: Data, seed, rules, and whom to tell of progress.
        objective: What the gradients are of, written as in a ``train`` block; what fits the
            labels if there is none.
    """

    model: Model
    targets: tuple[Weight, ...]
    job: Job
    objective: tuple[Any, ...] = ()


class Criterion(Chosen):
    """A way to say what a weight is worth.  Its options are its fields; it holds no state.

    A concrete criterion says in its docstring which published form it is, and overrides
    `elements`, `channels` or both.

    Attributes:
        name: What users call it, in kebab-case: ``l1``.
        needs: What it looks at besides the model.
        within: What the scores of single weights may be compared within: ``model``, each
            ``tensor`` for itself, or only the weights of one ``output`` channel (Wanda).
        always_global: Whether it makes sense only if all tensors are ranked together (LAMP).
        rebuilds: Whether weights that stay are changed to make up for those that go; what goes
            is then chosen layer by layer (see `onnxpress_pruning.reconstruction`).
    """

    needs: ClassVar[Literal["weights", "data", "labels"]] = "weights"
    within: ClassVar[Literal["model", "tensor", "output"]] = "model"
    always_global: ClassVar[bool] = False
    rebuilds: ClassVar[bool] = False

    def refusal(self, model: Model, layer: Layer, weight: Weight) -> str | None:
        """Say why it can't score the single weights of a tensor that a layer reads, None if it can.

        Args:
            model: The model as it is.
            layer: A layer of it.
            weight: One of the tensors of the layer.
        """
        del model, layer, weight
        return None

    def elements(self, subject: Subject) -> ElementScores:
        """Look at the data once if need be, and return what scores the single weights.

        Raises:
            OptionError: If this criterion ranks whole channels only.
            UsageError: If it needs data or labels and there are none.
        """
        raise OptionError(
            f"criterion={self.name} ranks whole channels, not single weights: "
            "use it with structure=channel, or choose another criterion"
        )

    def channels(self, subject: Subject, groups: Sequence[Group]) -> ChannelScores:
        """Return what scores the channels of `groups`.

        By default, from `elements`: see `onnxpress_pruning.criteria.slices`.

        Raises:
            OptionError: If this criterion ranks single weights only.
            UsageError: If it needs data or labels and there are none.
        """
        from onnxpress_pruning.criteria.slices import from_elements

        return from_elements(self.elements(subject), subject.model, groups)
