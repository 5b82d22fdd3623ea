"""The schedule ``surgery``: pruned weights are trained further, and may come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from pydantic import Field

from onnxpress_pruning.schedules import shares
from onnxpress_pruning.schedules.masked import MaskedSchedule

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.training.masking import Moment
    from onnxpress_pruning.pruning import Pruning
    from onnxpress_pruning.schedules.chooser import Chooser
    from onnxpress_pruning.schedules.timing import Span


@final
class Surgery(MaskedSchedule):
    """Dynamic network surgery (Guo et al. 2016): prune and splice.

    Weights under the mask are trained with the gradient of what the layer reads.  With
    `sensitivity`, masks go by two thresholds as in Distiller's SplicingPruner:
    ``|w| < low · t`` goes, ``|w| ≥ high · t`` comes back, what lies between stays as it is,
    with ``t = mean|w| + sensitivity · std|w|`` of each tensor before training; the share is
    then what comes of it.  Without, the share wanted is reached along the cubic curve, and
    at each change the lowest scores go, whether they were masked or not.
    """

    name: ClassVar[str] = "surgery"

    sensitivity: float | None = Field(
        default=None, description="thresholds by the spread of weights, instead of a share"
    )
    low: float = Field(default=0.9, ge=0, description="what the threshold is multiplied by to go")
    high: float = Field(
        default=1.1, ge=0, description="what the threshold is multiplied by to come back"
    )

    @property
    def below(self) -> Literal["zero", "trained", "waits"]:
        return "trained"

    def check(self, step: Pruning) -> None:
        super().check(step)
        if self.sensitivity is not None and step.structure != "unstructured":
            raise ValueError("sensitivity is for single weights: leave it or structure out")
        if self.low > self.high:
            raise ValueError("low is above high: what goes would come back at once")

    def masks(self, moment: Moment, span: Span, chooser: Chooser) -> Mapping[str, Array]:
        if self.sensitivity is not None:
            start = {target.weight.name: target.weight for target in chooser.targets}
            return {name: self._spliced(moment, name, start[name].array()) for name in moment.names}
        done = moment.updates, span.begin, span.end
        return chooser.kept(
            moment.model(), moment.names, lambda last: shares.polynomial(*done, 0.0, last)
        )

    def _spliced(self, moment: Moment, name: str, start: Array) -> Array:
        threshold = splicing_threshold(start, self.sensitivity or 0.0)
        return spliced(moment.weight(name), moment.mask(name), threshold, self.low, self.high)


def splicing_threshold(weights: Array, sensitivity: float) -> float:
    """Return ``mean|w| + s · std|w|``, the deviation with n - 1."""
    size = np.abs(weights.astype(np.float64))
    deviation = float(size.std(ddof=1)) if size.size > 1 else 0.0
    return float(size.mean()) + sensitivity * deviation


def spliced(weights: Array, mask: Array, threshold: float, low: float, high: float) -> Array:
    """Return the new mask: gone below ``low · t``, kept from ``high · t`` on, else as before."""
    size = np.abs(weights)
    return np.asarray((size >= low * threshold) & ((size >= high * threshold) | mask))
