"""Errors carry their exit code and the nearest names."""

from __future__ import annotations

import inspect

import pytest

from onnxpress import errors
from onnxpress.errors import (
    OnnxpressError,
    UnknownNameError,
    UsageError,
    explained,
    noting,
    suggestion,
)


def test_the_tree_in_the_docstring_names_every_error_with_its_exit_code() -> None:
    kinds = [k for _, k in inspect.getmembers(errors, inspect.isclass) if issubclass(k, Exception)]
    documented = dict(
        line.split()[:2] for line in (errors.__doc__ or "").splitlines() if "Error " in line
    )
    ours = {k.__name__: str(k.exit_code) for k in kinds if issubclass(k, OnnxpressError)}
    assert ours == documented


def test_an_unknown_name_suggests_its_neighbours_and_quotes_hints() -> None:
    error = UnknownNameError("step", "magnitud-pruning", ["magnitude-pruning", "tidy"], ["a hint"])
    assert str(error) == (
        "there is no step called 'magnitud-pruning'; did you mean 'magnitude-pruning'?\n  a hint"
    )
    assert isinstance(error, UsageError)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("known", "text"),
    [([], "; known: none"), (["b", "a"], "; known: a, b")],
)
def test_without_a_neighbour_all_names_are_listed(known: list[str], text: str) -> None:
    assert suggestion("zzz", known) == text


def test_a_long_list_is_cut_and_counted() -> None:
    text = suggestion("zzz", [f"layer-{i:02}" for i in range(40)])
    assert text.endswith("layer-11, … (40 in all)")


def test_a_pattern_is_answered_with_names_that_share_most_of_it() -> None:
    known = ["/conv1/Conv", "/layer1/conv1/Conv", "/layer2/conv1/Conv", "/linear/Gemm"]
    text = "; did you mean '/layer1/conv1/Conv' or '/layer2/conv1/Conv'?"
    assert suggestion("layer9.*", known) == text


def test_notes_are_added_to_errors_of_ours_and_told_below_them() -> None:
    with pytest.raises(UsageError) as caught, noting("in r.toml, line 3"), noting(""):
        raise UsageError("it is wrong")
    assert explained(caught.value) == "it is wrong\n  in r.toml, line 3"
    with pytest.raises(ValueError, match="theirs") as other, noting("here"):
        raise ValueError("theirs")
    assert explained(other.value) == "theirs"
