"""A dry run: steps are tried in memory until one goes through the data."""

from __future__ import annotations

from typing import Any

import pytest

from onnxpress.errors import UsageError
from onnxpress.planning import Plan, plan
from onnxpress.recipe import Recipe
from tests.core.steps import Dampen, Learn, arrays, model, plugins

HOST = plugins()


def planned(*steps: Any, **settings: Any) -> Plan:
    return plan(model(), Recipe(**settings).but(list(steps), HOST), HOST)


def test_steps_are_tried_up_to_the_first_that_needs_the_data() -> None:
    made = planned(Dampen(by=0.25), Learn(), Dampen(), data=arrays())
    first, second, third = made.steps
    assert first.report is not None
    assert len(first.report.changed) == 1
    assert (second.report, second.reason) == (None, "it goes through the data")
    assert (third.report, third.reason) == (None, "a step before it was not tried")
    assert third.options["by"] == 0.5


def test_as_plain_data() -> None:
    table = planned(Dampen(), Learn(), data=arrays()).to_dict()
    assert table["steps"][0]["not_tried"] is None
    assert table["steps"][0]["changed"][0]["details"]["shape"] == [4, 3]
    assert table["steps"][1]["changed"] is None
    assert [step["use"] for step in table["recipe"]["steps"]] == ["dampen", "learn"]


@pytest.mark.parametrize(
    "settings",
    [{}, {"data": "nowhere.npz"}, {"data": arrays(), "metric": "top-1"}],
)
def test_what_would_fail_fails_here_too(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        planned(Learn(), **settings)
