"""What the help of an option says about its values."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from onnxpress.errors import OptionError, UsageError
from onnxpress.recipe.options import (
    allowed_range,
    choices,
    fill_in,
    inner_fields,
    inner_model,
)


class Inner(BaseModel):
    epochs: int = Field(default=1, ge=1)
    share: float = 0


class Outer(BaseModel):
    inner: Inner = Inner()
    other: Inner | None = None
    share: float = 0


class Options(BaseModel):
    share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    above: int = Field(default=1, gt=0)
    free: float = 0
    either: float | Literal["auto"] = "auto"
    needed: str


@pytest.mark.parametrize(
    ("name", "text"),
    [("share", "at least 0 and less than 1"), ("above", "above 0"), ("free", "")],
)
def test_ranges(name: str, text: str) -> None:
    assert allowed_range(Options.model_fields[name]) == text


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Literal["a", "b"], ("a", "b")),
        (Literal[4, 8] | None, ("4", "8")),
        (float, ()),
        (float | Literal["auto"], ()),
    ],
)
def test_choices(annotation: Any, words: tuple[str, ...]) -> None:
    assert choices(annotation) == words


def test_all_ways_that_a_value_might_fit_are_named() -> None:
    with pytest.raises(OptionError) as caught:
        fill_in(Options, "step", {"either": "sometimes", "needed": "x"}, lambda *_: "")
    assert str(caught.value) == ("step: either is 'sometimes'; it must be a number, or 'auto'")


def test_what_must_be_given_is_asked_for() -> None:
    with pytest.raises(OptionError, match="step: needed must be given"):
        fill_in(Options, "step", {}, lambda *_: "")


def test_where_an_option_is_written_is_said_behind_it() -> None:
    with pytest.raises(OptionError, match=r"above 0 \(r.toml, line 3\)"):
        fill_in(Options, "step", {"above": 0, "needed": ""}, lambda *_: "r.toml, line 3")


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 3},
        {"epochs": "3"},
        {"inner": {"epochs": "3"}},
        {"inner": {}, "epochs": 3},
    ],
)
def test_options_of_a_table_may_be_given_without_it(options: dict[str, Any]) -> None:
    made = fill_in(Outer, "step", options, lambda *_: "")
    assert made == Outer(inner=Inner(epochs=3))


def test_an_option_of_the_step_itself_goes_before_one_of_a_table() -> None:
    assert inner_fields(Outer) == {"epochs": "inner"}  # the first table that has it
    made = fill_in(Outer, "step", {"share": 1, "epochs": 2, "inner": {"share": 3}}, lambda *_: "")
    assert made == Outer(share=1, inner=Inner(epochs=2, share=3))
    assert inner_model(Outer.model_fields["other"]) is Inner


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 2, "inner": {"epochs": 2}}, "step: epochs is given twice"),
        ({"epochs": 0}, "step: inner.epochs is 0; it must be at least 1"),
        ({"epochs": 2, "inner": 3}, "step: inner is 3; it must be a table, key=value"),
        ({"epoch": 2}, "no option of step called 'epoch'; did you mean 'epochs'"),
        ({"inner": {"epoch": 2}}, "no option of step.inner called 'epoch'; did you mean 'epochs'"),
    ],
)
def test_mistakes_in_tables(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        fill_in(Outer, "step", options, lambda *_: "")
