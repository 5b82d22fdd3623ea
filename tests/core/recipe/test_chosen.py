from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pydantic import Field

from onnxpress.errors import OptionError, UnknownNameError, UsageError
from onnxpress.recipe.chosen import Chosen, by_name, choose


class Colour(Chosen):
    """What is chosen here."""


class Red(Colour):
    name: ClassVar[str] = "red"
    share: float = Field(default=0.5, ge=0)


class Blue(Colour):
    name: ClassVar[str] = "dark-blue"


KNOWN = by_name(Red, Blue)


@pytest.mark.parametrize(
    "written", ["red:share=0.25", {"use": "red", "share": "0.25"}, Red(share=0.25)]
)
def test_every_way_to_write_one_means_the_same(written: Any) -> None:
    assert choose(Colour, KNOWN, "colour", written) == Red(share=0.25)


def test_as_json_it_can_be_read_again() -> None:
    table = Red(share=0.25).model_dump(mode="json")
    assert table == {"use": "red", "share": 0.25}
    assert choose(Colour, KNOWN, "colour", table) == Red(share=0.25)


WRONG: list[tuple[Any, type[Exception], str]] = [
    ("rde", UnknownNameError, "there is no colour called 'rde'; did you mean 'red'"),
    ({"use": "dark-bleu"}, UnknownNameError, "did you mean 'dark-blue'"),
    ("red:shar=1", UnknownNameError, "no option of red called 'shar'; did you mean 'share'"),
    ("red:share=-1", OptionError, "red: share is -1; it must be at least 0"),
    ("red:share", OptionError, "red: write 'share' as key=value"),
    ({"share": 1}, UsageError, r"is no colour; give a text \(name:key=value\), a table with 'use'"),
    (3, UsageError, "3 is no colour"),
]


@pytest.mark.parametrize(("written", "kind", "message"), WRONG)
def test_what_is_written_wrong_is_said(written: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        choose(Colour, KNOWN, "colour", written)


def test_errors_say_what_else_may_be_given() -> None:
    more: dict[str, Any] = {"example": "red:share=1", "others": ["a paint", "a brush"]}
    with pytest.raises(UsageError, match=r"\(red:share=1\), a table with 'use', a paint, a brush"):
        choose(Colour, KNOWN, "colour", 3, **more)
    with pytest.raises(UnknownNameError, match=r"(?s)called 'gold'.*or a paint, a brush"):
        choose(Colour, KNOWN, "colour", "gold", **more)
