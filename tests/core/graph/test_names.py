from __future__ import annotations

from onnxpress.graph.names import take_name, values_by_name
from tests.laws.graphs import GRAPHS


def test_a_name_is_taken_once() -> None:
    taken = {"a", "a_1"}
    assert [take_name(name, taken) for name in "aab"] == ["a_2", "a_3", "b"]
    assert {"a_2", "a_3", "b"} <= taken


def test_values_of_branches_are_there_too() -> None:
    found = values_by_name(GRAPHS["branches_of_an_if"]().ir)
    assert {"x", "c", "w", "y", "a", "b"} <= set(found)
    assert all(value.name == name for name, value in found.items())
