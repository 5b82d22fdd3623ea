"""A step as one text."""

from __future__ import annotations

from typing import Any

import pytest

from onnxpress.errors import OptionError
from onnxpress.recipe.spec import guess, parse_spec


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("prune", "prune", {}),
        (" prune: ", "prune", {}),
        ("prune:sparsity=0.5", "prune", {"sparsity": "0.5"}),
        ("mine:prune", "mine:prune", {}),
        ("mine:prune:sparsity=0.5", "mine:prune", {"sparsity": "0.5"}),
        ("p:a = x y , b=2", "p", {"a": "x y", "b": "2"}),
        ("p:a=[x,y]", "p", {"a": ["x", "y"]}),
        ("p:a=[],b=[x,]", "p", {"a": [], "b": ["x"]}),
        ("p:a=re:l[12],b=op:Conv", "p", {"a": "re:l[12]", "b": "op:Conv"}),
        ("p:a=[re:l[1,2](x|y),'z,z']", "p", {"a": ["re:l[1,2](x|y)", "z,z"]}),
        ('p:a="[ab]*",b=""', "p", {"a": "[ab]*", "b": ""}),
        ("p:train={epochs=3,lr=1e-3}", "p", {"train": {"epochs": "3", "lr": "1e-3"}}),
        ("p:a=[op:Gemm=0.9,stem=0]", "p", {"a": ["op:Gemm=0.9", "stem=0"]}),
    ],
)
def test_specs(text: str, name: str, options: dict[str, Any]) -> None:
    assert parse_spec(text) == (name, options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("=1", "is no step; write name:key=value"),
        ("p:a=", "expected a value .* found the end"),
        ("p:a=1,a=2", r"a is given twice; a list is a=\[a,b\]"),
        ("p:a=[x", "expected ',' or ']', found the end"),
        ("p:a=x[y", "'x.y' lacks a ']'; put the text in quotes"),
        ("p:a='x", "expected a closing '"),
        ("p:a='x'y", "expected ',' and another key=value, found 'y'"),
        ("p:a=1,b", "expected key=value, found 'b'"),
        ("p:a={b}", "expected key=value"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_spec(text)


def test_plain_text_is_guessed_only_where_asked() -> None:
    assert guess(["1", "1.5", "TRUE", "none", "x"]) == [1, 1.5, True, None, "x"]
    assert guess(7) == 7
