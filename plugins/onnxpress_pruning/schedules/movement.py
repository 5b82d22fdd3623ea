"""The schedule ``movement``: what moves away from zero while training stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from onnxpress_pruning.options import Share
from onnxpress_pruning.schedules import shares
from onnxpress_pruning.schedules.masked import MaskedSchedule

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.training.masking import Moment
    from onnxpress_pruning.pruning import Pruning
    from onnxpress_pruning.schedules.chooser import Chooser
    from onnxpress_pruning.schedules.timing import Span


@final
class Movement(MaskedSchedule):
    """Movement pruning (Sanh et al. 2020, arXiv:2005.07683), with hard masks by top-v.

    Every weight has a score that begins at 0 and is trained: ``S ← S - lr · w · ∂L/∂(w ⊙ m)``,
    so that weights which move away from zero are kept, however small they are.  Weights under
    the mask stay as they are, and come back if their score rises.  The share follows a
    polynomial curve, from `begin` on: before that, scores are gathered.
    """

    name: ClassVar[str] = "movement"

    initial: Share = Field(default=0.0, description="the share at the beginning")
    power: float = Field(default=3.0, gt=0, description="1 is a line")

    @property
    def below(self) -> Literal["zero", "trained", "waits"]:
        return "waits"

    def check(self, step: Pruning) -> None:
        super().check(step)
        usual = type(step).model_fields["criterion"].get_default(call_default_factory=True)
        if step.criterion != usual:
            raise ValueError("schedule=movement learns its own scores; leave out criterion")

    def masks(self, moment: Moment, span: Span, chooser: Chooser) -> Mapping[str, Array]:
        done = moment.updates, span.begin, span.end

        def share(last: float) -> float:
            return shares.polynomial(*done, self.initial, last, self.power)

        return chooser.kept(
            moment.model(), moment.names, share, lambda weight: moment.score(weight.name)
        )
