"""Budgets: so many parameters or bytes may be left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from onnxpress.errors import OptionError
from onnxpress.graph.model import Model
from onnxpress.testing import model_from_text
from onnxpress_pruning import MagnitudePruning
from tests.plugins.pruning.models import products, pruned


def three() -> Model:
    rng = np.random.default_rng(0)
    return products(**{n: rng.standard_normal((30, 40)).astype(np.float32) for n in "abc"})


def left(arrays: dict[str, Any]) -> int:
    return sum(int(np.count_nonzero(array)) for array in arrays.values())


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("budget", [3, 100, 777, 3599])
def test_so_many_parameters_are_left(budget: int, scope: str) -> None:
    after = pruned(three(), parameters=budget, scope=scope)
    assert left(after) <= budget
    assert left(after) > budget - (1 if scope == "global" else 4)


def test_a_share_of_the_parameters() -> None:
    assert left(pruned(three(), parameters=0.25, scope="global")) == 900


def test_what_is_not_pruned_counts_too() -> None:
    rng = np.random.default_rng(0)
    model = model_from_text(
        "g (float[N,20] x) => (float[N,10] y) { y = Gemm(x, w, b) }",
        w=rng.standard_normal((20, 10)).astype(np.float32),
        b=np.ones(10, np.float32),
    )
    after = pruned(model, parameters=50)
    assert np.count_nonzero(after["w"]) == 40
    assert np.count_nonzero(after["b"]) == 10


def test_bytes_are_those_of_a_bit_mask_and_values() -> None:
    after = pruned(three(), bytes=3000, scope="global")
    taken = sum(1200 // 8 + 4 * int(np.count_nonzero(a)) for a in after.values())
    assert 2990 < taken <= 3000


@pytest.mark.parametrize("written", ["3kB", "3 kB", 3000, 3000 / 14_400])
def test_bytes_may_be_written_with_a_unit_or_as_a_share(written: Any) -> None:
    assert left(pruned(three(), bytes=written)) == left(pruned(three(), bytes=3000))


@pytest.mark.parametrize("structure", [{"block": "1x4"}, {"block": "3x7", "pooling": "max"}])
def test_blocks_keep_a_budget_too(structure: dict[str, Any]) -> None:
    after = pruned(three(), structure="block", parameters=1000, scope="global", **structure)
    assert 1000 - 22 < left(after) <= 1000


def test_a_budget_that_is_kept_already_prunes_nothing() -> None:
    assert left(pruned(three(), parameters=3600)) == 3600


@pytest.mark.parametrize(
    ("options", "reached"),
    [({"parameters": 2}, "3"), ({"parameters": 1000, "at_most": 0.5}, "1,800")],
)
def test_a_budget_that_can_not_be_met_says_what_can(options: Any, reached: str) -> None:
    with pytest.raises(OptionError, match=f"can't be met: {reached} are left"):
        pruned(three(), scope="global", **options)


@pytest.mark.parametrize("budget", [0, -5, 1.5, float("nan"), float("inf")])
def test_what_is_no_budget_is_refused(budget: float) -> None:
    with pytest.raises(ValidationError, match="above 0 and below 1, or a whole number"):
        MagnitudePruning(parameters=budget)
