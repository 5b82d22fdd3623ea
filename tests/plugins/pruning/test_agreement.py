"""Options that exclude each other are refused with what to leave out."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from onnxpress.plugins import Plugins
from onnxpress.recipe.steps import make_step, to_table
from onnxpress_pruning import MagnitudePruning


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"masks": "m.npz", "sparsity": 0.3, "at_most": 0.5}, "leave out sparsity, at-most"),
        ({"masks": "m.npz", "structure": "n:m"}, "masks decide alone .* leave out structure"),
        ({"pattern": "1:4"}, "pattern needs structure=n:m"),
        ({"axis": "output"}, "axis needs structure=n:m"),
        ({"block": "4x1", "structure": "n:m"}, "block needs structure=block"),
        ({"pooling": "max"}, "pooling needs structure=block"),
        ({"structure": "depth", "reconstruct": True}, "reconstruct needs structure=unstructured"),
        ({"structure": "n:m", "sparsity": 0.6}, "pattern=2:4 decides .* leave out sparsity"),
        ({"structure": "n:m", "scope": "global"}, "leave out scope"),
        (
            {"macs": 0.5},
            "macs needs structure=channel or .* zeros save no",
        ),
        ({"sparsity": 0.6, "ratio": 0.7}, "mean the same"),
        ({"parameters": 10, "bytes": 100}, "give one of parameters and bytes"),
        ({"parameters": 10, "sparsity": 0.7}, "parameters decides .* leave out sparsity"),
        ({"bytes": 10, "sparsities": {"a": 0.7}}, "leave out sparsities"),
        ({"threshold": 1, "scope": "global"}, "threshold decides .* leave out scope"),
        ({"sensitivity": 1, "criterion": "l2"}, "needs criterion=l1"),
        ({"criterion": "lamp", "sparsities": {"a": 0.7}}, "lamp ranks all .* leave out sparsities"),
        ({"criterion": "lamp", "threshold": 0.7}, "lamp ranks all .* leave out threshold"),
        ({"at_most": 1.5}, "less than or equal to 1"),
    ],
)
def test_it_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        MagnitudePruning(**options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"structure": "n:m", "pattern": "1:4", "axis": 0},
        {"structure": "block", "block": "4x1x*", "pooling": "max", "sparsity": 0.3},
        {"criterion": "lamp", "ratio": 0.7, "at_most": 0.9},
        {"scope": "global", "bytes": "25kB"},
        {"sensitivity": 1.5, "layers": ["a"], "of": "all"},
        {"threshold": 0.5, "criterion": "l2"},
        {"masks": "m.npz"},
    ],
)
def test_a_table_of_all_options_makes_the_same_step(options: dict[str, Any]) -> None:
    step = MagnitudePruning(**options)
    assert make_step(to_table(step), Plugins.discover()) == step


@pytest.mark.parametrize(
    ("option", "written", "read"),
    [
        ("pattern", ["1:4"], (1, 4)),
        ("pattern", [1, 4], (1, 4)),
        ("block", ["2x*"], (2, 0)),
        ("bytes", "25 kB", 25_000),
        ("parameters", "0.25", 0.25),
    ],
)
def test_options_are_read_as_the_command_line_and_recipes_give_them(
    option: str, written: Any, read: Any
) -> None:
    structure = {"pattern": "n:m", "block": "block"}.get(option, "unstructured")
    step = MagnitudePruning(**{option: written, "structure": structure})
    assert getattr(step, option) == read


def test_tables_write_patterns_and_blocks_as_people_do() -> None:
    table = to_table(MagnitudePruning(structure="block", block=(4, 1, 0)))
    assert (table["block"], table["pattern"]) == ("4x1x*", "2:4")


def test_ratio_is_another_name_for_sparsity() -> None:
    assert MagnitudePruning(ratio=0.3).share == MagnitudePruning(sparsity=0.3).share == 0.3
