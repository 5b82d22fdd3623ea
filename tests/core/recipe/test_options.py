"""What the help of an option says about its values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from onnxpress.errors import OptionError
from onnxpress.recipe.options import allowed_range, choices, fill_in


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
