"""Schedules give what those of PyTorch give, and are written as steps are."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from onnxpress.errors import OptionError, UnknownNameError, UsageError
from onnxpress.training.schedules import Cosine, OneCycle, Schedule, Step, make_schedule

RATE = 0.4
TOTAL = 23


def of_torch(make: Callable[[torch.optim.Optimizer], Any]) -> list[float]:
    """Return the learning rates of all steps, as shares of the one given."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of stepping without an optimizer step, and of epochs
        scheduler = make(optimizer)
        rates = []
        for _ in range(TOTAL):
            rates.append(optimizer.param_groups[0]["lr"] / RATE)
            if len(rates) < TOTAL:
                optimizer.step()
                scheduler.step()
    return rates


LIKE_TORCH: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "constant": lambda o: lr_scheduler.ConstantLR(o, 1, 0),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL),
    "cosine:last=0.1": lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, eta_min=0.1 * RATE),
    "step:every=5": lambda o: lr_scheduler.StepLR(o, 5),
    "step:every=4,factor=0.5": lambda o: lr_scheduler.StepLR(o, 4, 0.5),
    "step:milestones=[3,11,12],factor=0.3": lambda o: lr_scheduler.MultiStepLR(o, [3, 11, 12], 0.3),
    "step:milestones=7": lambda o: lr_scheduler.MultiStepLR(o, [7]),
    "exponential:gamma=0.9": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "polynomial": lambda o: lr_scheduler.PolynomialLR(o, TOTAL),
    "polynomial:power=2": lambda o: lr_scheduler.PolynomialLR(o, TOTAL, power=2),
    "one-cycle": lambda o: lr_scheduler.OneCycleLR(o, RATE, TOTAL),
    "one-cycle:rise=0.45,first=10,last=100,shape=linear": lambda o: lr_scheduler.OneCycleLR(
        o, RATE, TOTAL, pct_start=0.45, div_factor=10, final_div_factor=100,
        anneal_strategy="linear",
    ),
    "cosine:warmup=6,warmup-start=0.25": lambda o: lr_scheduler.SequentialLR(
        o,
        [
            lr_scheduler.LinearLR(o, 0.25, total_iters=6),
            lr_scheduler.CosineAnnealingLR(o, TOTAL - 6),
        ],
        [6],
    ),
    "step:every=8,warmup=3,warmup-start=0.1": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=3), lr_scheduler.StepLR(o, 8)], [3]
    ),
}  # fmt: skip


@pytest.mark.parametrize("spec", LIKE_TORCH)
def test_factors_are_those_of_pytorch(spec: str) -> None:
    schedule = make_schedule(spec)
    found = [schedule.at(step, TOTAL) for step in range(TOTAL)]
    assert found == pytest.approx(of_torch(LIKE_TORCH[spec]), abs=1e-9)


def test_epochs_are_made_of_steps() -> None:
    step = Step(every=2)
    assert [step.at(n, 60, 10) for n in (0, 19, 20, 39, 40)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01]
    )
    assert Step(milestones=(0.5, 3)).at(5, 60, 10) == pytest.approx(0.1)
    assert make_schedule("exponential:gamma=0.5").at(25, 60, 10) == 0.25
    warm = Cosine(warmup=1.5, warmup_start=0)
    assert [warm.at(n, 60, 10) for n in (0, 3, 15)] == pytest.approx([0, 0.2, 1])


@pytest.mark.parametrize("spec", [*LIKE_TORCH, "cosine:warmup=50"])
@pytest.mark.parametrize("total", [1, 2, 3])
def test_short_runs_and_steps_beyond_the_end_are_no_trouble(spec: str, total: int) -> None:
    schedule = make_schedule(spec)
    assert all(0 <= schedule.at(step, total) <= 1 for step in range(total + 3))


@pytest.mark.parametrize("schedule", ["cosine", {"use": "cosine"}, Cosine()])
def test_ways_to_write_a_schedule(schedule: Any) -> None:
    assert make_schedule(schedule) == Cosine()
    assert make_schedule({"use": "one-cycle", "rise": 0.2}) == OneCycle(rise=0.2)


def test_mistakes_are_explained() -> None:
    with pytest.raises(UnknownNameError, match="no schedule called 'cosin'; did you mean 'cosine'"):
        make_schedule("cosin")
    with pytest.raises(OptionError, match="step: say after how many epochs: every=…"):
        make_schedule("step")
    with pytest.raises(UnknownNameError, match="option of cosine called 'min'"):
        make_schedule("cosine:min=0.1")
    with pytest.raises(OptionError, match="one-cycle: rise is 1; it must be above 0 and less than"):
        make_schedule("one-cycle:rise=1")
    with pytest.raises(UsageError, match="7 is no schedule; give a text"):
        make_schedule(7)  # type: ignore[arg-type]


def test_every_schedule_is_documented() -> None:
    for spec in LIKE_TORCH:
        kind = type(make_schedule(spec))
        assert kind.__doc__
        assert all(field.description for field in kind.model_fields.values())
    assert issubclass(Cosine, Schedule)
