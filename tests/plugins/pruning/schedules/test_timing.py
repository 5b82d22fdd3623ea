"""When masks change: begin, end and frequency, in steps and epochs."""

from __future__ import annotations

from typing import Any

import pytest

from onnxpress.errors import OptionError, UnknownNameError
from onnxpress.training.options import Training
from onnxpress.training.pace import Pace
from onnxpress_pruning.schedules.gradual import Agp, Constant, Cubic, Polynomial
from onnxpress_pruning.schedules.known import make_schedule
from onnxpress_pruning.schedules.timing import Span


def pace(updates: int = 300, epochs: int = 3, **options: Any) -> Pace:
    return Pace(Training(epochs=epochs, **options), updates // epochs)


@pytest.mark.parametrize(
    ("frequency", "step", "prunes"),
    [
        *[(1, step, False) for step in (90, 99, 201, 210)],
        *[(1, step, True) for step in (100, 110, 200)],
        *[(10, step, True) for step in (100, 110, 200)],
        *[(10, step, False) for step in (109, 111)],
    ],
)
def test_constant_sparsity_of_tfmot(frequency: int, step: int, prunes: bool) -> None:  # noqa: FBT001
    """FACTS 3."""
    schedule = Constant(begin=100, end=200, frequency=frequency)
    assert schedule.span(pace()).prunes(step) is prunes
    assert schedule.share(step, schedule.span(pace()), 0.5) == 0.5


def test_the_end_prunes_whatever_the_frequency() -> None:
    assert [step for step in range(20) if Span(3, 12, 4).prunes(step)] == [3, 7, 11, 12]


def test_times_in_epochs_are_those_in_steps() -> None:
    by_epochs = Polynomial(begin=0.5, end=2, frequency=0.25, unit="epochs")
    assert by_epochs.span(pace()) == Polynomial(begin=50, end=200, frequency=25).span(pace())


def test_what_is_not_said_fits_the_length_of_the_training() -> None:
    assert Polynomial().span(pace(300)) == Span(0, 225, 22)
    assert Polynomial().span(pace(30000)) == Span(0, 22500, 100)
    assert Polynomial().span(pace(3)) == Span(0, 2, 1)
    assert Constant().span(pace(300)) == Span(0, 299, 29)
    assert Constant(begin=1, unit="epochs").span(pace(300)) == Span(100, 299, 19)


def test_an_end_at_the_end_comes_before_the_last_update() -> None:
    assert Polynomial(end=300).span(pace()).end == 299
    assert Polynomial(end=1).span(pace(1, 1)) == Span(0, 0, 1)


def test_agp_leaves_the_end_out_as_distiller_does() -> None:
    """ANCESTORS D14: epochs 0 to 30, every 2: pruned last at epoch 28."""
    span = Agp(begin=0, end=30, frequency=2).span(pace(3000, 30))
    assert span == Span(0, 2800, 200)
    shares = [Agp().share(epoch * 100, span, 0.85) for epoch in (0, 2, 14, 28)]
    assert shares == pytest.approx([0.05, 0.2095, 0.75, 0.85], abs=5e-5)


def test_cubic_holds_its_initial_share_from_the_first_step_on() -> None:
    span = Cubic(begin=30, end=130, frequency=20).span(pace())
    assert Cubic(initial=0.1).changes(span, 0)
    assert not Cubic(initial=0.1, initially_zero=True).changes(span, 0)
    assert not Cubic().changes(span, 0)
    assert Cubic(initial=0.1).share(40, span, 0.8) == pytest.approx(0.2897, abs=5e-5)


@pytest.mark.parametrize("times", [{"begin": 300}, {"end": 301}, {"end": 4, "unit": "epochs"}])
def test_training_must_last_until_the_end(times: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"training has 300 \(an epoch has 100\): train longer"):
        Polynomial(**times).span(pace())


def test_steps_limit_the_training() -> None:
    assert Polynomial().span(pace(steps=100)).end == 75


def test_names_and_options_are_checked() -> None:
    assert make_schedule("polynomial:initial=0.5,end=10") == Polynomial(initial=0.5, end=10)
    assert make_schedule({"use": "agp", "frequency": 2}) == Agp(frequency=2)
    with pytest.raises(UnknownNameError, match="did you mean 'polynomial'"):
        make_schedule("polinomial")
    with pytest.raises(UnknownNameError, match="option of polynomial"):
        make_schedule("polynomial:start=1")
    with pytest.raises(OptionError, match="initial"):
        make_schedule("polynomial:initial=50")
