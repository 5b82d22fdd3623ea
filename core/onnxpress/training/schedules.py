"""Learning-rate schedules: what the learning rate is multiplied by at each step.

They are those of `torch.optim.lr_scheduler`, called once per step (cosine, one-cycle,
polynomial) or once per epoch (step, exponential).
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from math import cos, pi
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, TypeAlias, final

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from onnxpress.recipe.chosen import Chosen, Written, by_name, choose

if TYPE_CHECKING:
    from typing import Self

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class Schedule(Chosen):
    """How the learning rate changes over a training run, after a linear warm-up if wanted."""

    warmup: float = Field(
        default=0, ge=0, description="epochs in which the learning rate grows to its full value"
    )
    warmup_start: Share = Field(default=0.01, description="the factor to begin the warm-up with")

    @final
    def at(self, step: int, total: int, per_epoch: int = 1) -> float:
        """Return what the learning rate is multiplied by.

        Args:
            step: How many steps are done already.
            total: How many there will be.
            per_epoch: How many make an epoch.
        """
        warmup = min(round(self.warmup * per_epoch), total)
        if step < warmup:
            return self.warmup_start + (1 - self.warmup_start) * step / warmup
        return self.after_warmup(step - warmup, total - warmup, per_epoch)

    @abstractmethod
    def after_warmup(self, step: int, total: int, per_epoch: int) -> float:
        """Return the factor, counted from the end of the warm-up."""


@final
class Constant(Schedule):
    """Always the same."""

    name: ClassVar[str] = "constant"

    def after_warmup(self, step: int, total: int, per_epoch: int) -> float:
        del step, total, per_epoch
        return 1.0


def _as_list(value: object) -> object:
    """Take a single number for a list of one."""
    return [value] if isinstance(value, str | int | float) else value


@final
class Step(Schedule):
    """Smaller by a factor every few epochs, or at certain ones."""

    name: ClassVar[str] = "step"

    every: float | None = Field(default=None, gt=0, description="after how many epochs, each time")
    milestones: Annotated[Sequence[float], BeforeValidator(_as_list), AfterValidator(tuple)] = (
        Field(default=(), description="after which epochs, instead")
    )
    factor: float = Field(default=0.1, gt=0, description="what it is multiplied by each time")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.every is None) == (not self.milestones):
            raise ValueError("say after how many epochs: every=…, or milestones=[…]")
        return self

    def after_warmup(self, step: int, total: int, per_epoch: int) -> float:
        del total
        if self.every is not None:
            return float(self.factor ** (step // max(round(self.every * per_epoch), 1)))
        passed = sorted(round(epoch * per_epoch) for epoch in self.milestones)
        return float(self.factor ** bisect_right(passed, step))


@final
class Exponential(Schedule):
    """Smaller by a factor after every epoch."""

    name: ClassVar[str] = "exponential"

    gamma: float = Field(default=0.95, gt=0, description="what it is multiplied by each time")

    def after_warmup(self, step: int, total: int, per_epoch: int) -> float:
        del total
        return float(self.gamma ** (step // per_epoch))


@final
class Polynomial(Schedule):
    """Down to a last value along a line (power 1) or a curve."""

    name: ClassVar[str] = "polynomial"

    power: float = Field(default=1.0, gt=0, description="1 is a line")
    last: Share = Field(default=0.0, description="the factor at the end")

    def after_warmup(self, step: int, total: int, per_epoch: int) -> float:
        del per_epoch
        left = 1 - min(step / max(total, 1), 1)
        return float(self.last + (1 - self.last) * left**self.power)


@final
class Cosine(Schedule):
    """Down to a last value along half a cosine (Loshchilov & Hutter 2017)."""

    name: ClassVar[str] = "cosine"

    last: Share = Field(default=0.0, description="the factor at the end")

    def after_warmup(self, step: int, total: int, per_epoch: int) -> float:
        del per_epoch
        return _between(1, self.last, min(step / max(total, 1), 1), "cosine")


@final
class OneCycle(Schedule):
    """Up to the full value, then down to next to nothing (Smith & Topin 2018)."""

    name: ClassVar[str] = "one-cycle"

    rise: float = Field(default=0.3, gt=0, lt=1, description="share of the steps that go up")
    first: float = Field(
        default=25.0, gt=0, description="the first learning rate is the full one divided by this"
    )
    last: float = Field(
        default=1e4, gt=0, description="the last learning rate is the first one divided by this"
    )
    shape: Literal["cosine", "linear"] = Field(default="cosine", description="of both parts")

    def after_warmup(self, step: int, total: int, per_epoch: int) -> float:
        del per_epoch
        first, last = 1 / self.first, 1 / self.first / self.last
        # The top is reached at step top, the end at step total - 1, as in PyTorch.
        top, end = self.rise * total - 1, total - 1
        if step <= top:
            return _between(first, 1, step / top if top else 1, self.shape)
        done = min((step - top) / (end - top), 1) if end > top else 1
        return _between(1, last, done, self.shape)


def _between(start: float, end: float, done: float, shape: str) -> float:
    """Return the value on the way from `start` to `end` after a share of it."""
    share = (1 - cos(pi * done)) / 2 if shape == "cosine" else done
    return start + (end - start) * share


SCHEDULES: Final = by_name(Constant, Step, Cosine, OneCycle, Polynomial, Exponential)


def make_schedule(written: Written[Schedule]) -> Schedule:
    """Return the schedule that is meant: ``"step:every=10,factor=0.1"``; see `choose`."""
    return choose(Schedule, SCHEDULES, "schedule", written)  # type: ignore[type-abstract]
