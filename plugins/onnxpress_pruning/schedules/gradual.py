"""Schedules that follow a curve: constant, polynomial, AGP, cubic."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from onnxpress_pruning.options import Share
from onnxpress_pruning.schedules import shares
from onnxpress_pruning.schedules.masked import MaskedSchedule
from onnxpress_pruning.schedules.timing import Span

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.training.masking import Moment
    from onnxpress.training.pace import Pace
    from onnxpress_pruning.schedules.chooser import Chooser


class Gradual(MaskedSchedule):
    """A share that follows a curve; the criterion of the step says which weights go.

    Weights that are pruned stay at zero unless `regrow` lets them be trained beside what the
    layer reads, so that they may come back when masks change.
    """

    regrow: bool = Field(
        default=False,
        description="train pruned weights beside what the layer reads, so that they may come back",
    )

    @property
    def below(self) -> Literal["zero", "trained", "waits"]:
        return "trained" if self.regrow else "zero"

    @abstractmethod
    def share(self, step: int, span: Span, final_share: float) -> float:
        """Return the share to be zero at a step."""

    def masks(self, moment: Moment, span: Span, chooser: Chooser) -> Mapping[str, Array]:
        kept = chooser.kept(
            moment.model(), moment.names, lambda last: self.share(moment.updates, span, last)
        )
        if self.regrow:
            return kept
        return {name: mask & moment.mask(name) for name, mask in kept.items()}


@final
class Constant(Gradual):
    """The whole share from `begin` on (TFMOT's ConstantSparsity).

    Masks are chosen again at every change, which makes a difference with `regrow`.
    """

    name: ClassVar[str] = "constant"

    def span(self, pace: Pace) -> Span:
        if self.end is None:
            scale = pace.per_epoch if self.unit == "epochs" else 1
            own = self.model_copy(update={"end": pace.total / scale})
            return super(Constant, own).span(pace)
        return super().span(pace)

    def settles(self, span: Span) -> int:
        return span.begin + 1

    def share(self, step: int, span: Span, final_share: float) -> float:
        del step, span
        return final_share


@final
class Polynomial(Gradual):
    """From `initial` to the share wanted, fast at first (TFMOT's PolynomialDecay)."""

    name: ClassVar[str] = "polynomial"

    initial: Share = Field(default=0.0, description="the share at the beginning")
    power: float = Field(default=3.0, gt=0, description="1 is a line; 3 is that of Zhu & Gupta")

    def share(self, step: int, span: Span, final_share: float) -> float:
        return shares.polynomial(step, span.begin, span.end, self.initial, final_share, self.power)


@final
class Agp(Gradual):
    """Automated gradual pruning (Zhu & Gupta 2017) as in Distiller: by epochs, the end left out.

    The share wanted is reached at the last of `begin`, `begin + frequency`, … before `end`.
    """

    name: ClassVar[str] = "agp"

    initial: Share = Field(default=0.05, description="the share at the beginning")
    unit: Literal["steps", "epochs"] = Field(
        default="epochs", description="what begin, end and frequency count: updates, or epochs"
    )
    frequency: float | None = Field(
        default=1, gt=0, description="how much lies between two changes of the masks"
    )

    def span(self, pace: Pace) -> Span:
        found = super().span(pace)
        last = shares.last_of_gradual(found.begin, found.end, found.frequency)
        return Span(found.begin, last, found.frequency)

    def share(self, step: int, span: Span, final_share: float) -> float:
        return shares.polynomial(step, span.begin, span.end, self.initial, final_share)


@final
class Cubic(Gradual):
    """The cubic curve of torchao's CubicSL: `initial` holds from the first step on."""

    name: ClassVar[str] = "cubic"

    initial: Share = Field(default=0.0, description="the share up to begin")
    initially_zero: bool = Field(default=False, description="prune nothing before begin")

    def changes(self, span: Span, step: int) -> bool:
        return span.prunes(step) or (step == 0 and self.initial > 0 and not self.initially_zero)

    def share(self, step: int, span: Span, final_share: float) -> float:
        return shares.cubic(
            step,
            span.begin,
            span.end,
            self.initial,
            final_share,
            initially_zero=self.initially_zero,
        )
