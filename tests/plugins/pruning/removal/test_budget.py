"""Budgets: so many multiply-accumulates, parameters or bytes may be left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.channels import find_channels
from onnxpress.errors import OptionError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from tests.plugins.pruning.removal.nets import attention, cut, residual, widths


def cost(model: Model, name: str) -> int:
    """Count what a budget counts."""
    sizing = find_channels(model).sizing
    return int(getattr(sizing, name)(sizing.full))


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("budget", [0.9, 0.62, 0.5, 0.31, 0.1])
@pytest.mark.parametrize("name", ["macs", "parameters", "bytes"])
def test_a_budget_is_kept_and_used(name: str, budget: float, scope: str) -> None:
    model = residual(3)
    options: dict[str, Any] = {name: budget, "scope": scope, "round_to": 1}
    made = cut(model, recalibrate="none", **options)
    most = budget * cost(model, name)
    assert cost(made, name) <= most
    channels = find_channels(made)
    for index, group in enumerate(channels.groups):
        if group.size < 16:  # one more channel does not fit
            more = channels.sizing.full.copy()
            more[index] += 1
            assert getattr(channels.sizing, name)(more) > most


@pytest.mark.parametrize("name", ["macs", "parameters"])
def test_counts_are_those_of_the_model_that_comes_out(name: str) -> None:
    options: dict[str, Any] = {name: 0.6}
    made = cut(residual(), recalibrate="none", **options)
    assert cost(made, name) == getattr(made.cost(), name) <= 0.6 * getattr(residual().cost(), name)


def test_a_number_is_the_same_as_a_share() -> None:
    macs = residual().cost().macs
    by_share = widths(cut(residual(), macs=0.5))
    assert by_share == widths(cut(residual(), macs=macs // 2))
    assert by_share != widths(residual())


def test_all_scopes_and_rounding_keep_multiples() -> None:
    for scope in ("layer", "global"):
        made = cut(residual(3, width=64), macs=0.4, scope=scope)
        assert all(width % 8 == 0 for name, width in widths(made).items() if "fc" not in name)


def test_what_is_over_is_given_back() -> None:
    """The trunk alone is enough; cut to half with it, the others get all channels back."""
    model = residual(3)
    left = widths(cut(model, macs=0.52, recalibrate="none"))
    assert left["stem"] == 8
    assert left["a1"] == left["a2"] == left["a3"] == 16


def test_a_budget_that_is_met_already_cuts_nothing() -> None:
    job = Job()
    model = residual()
    assert cut(model, job=job, macs=model.cost().macs) is not None
    assert not job.changed
    assert {d.subject for d in job.declined} == {"stem", "a1", "a2"}


def test_heads_keep_a_budget() -> None:
    model = attention()
    made = cut(model, structure="head", parameters=0.7, round_to=1, recalibrate="none")
    assert made.cost().parameters <= 0.7 * model.cost().parameters
    assert widths(made)["q"] == widths(made)["v"] == 8  # o is no head; 16 dimensions: 4 heads


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, r"macs=0.01 \(6,176\) can't be met: [\d,]+ are left when all goes that may"),
        ({}, r"held by stem \(8 of 16 channels stay\), a\d \(8 of 16 channels stay\)"),
        ({}, r"; lower round-to or allow more$"),
        ({"round_to": 1, "at_most": 0.5}, r"; raise at-most or allow more$"),
        ({"round_to": 1, "layers": ["a1"]}, r"; choose more layers or allow more$"),
        ({"round_to": 1, "layers": ["a1"]}, r"held by stem \(16 of 16"),
    ],
)
def test_a_budget_that_can_not_be_met(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        cut(residual(), macs=0.01, **options)


def test_channels_that_a_criterion_can_not_rank_do_not_count_as_cut() -> None:
    """bn-scale ranks nothing here: a budget can't be met, and is not missed in silence."""
    with pytest.raises(OptionError, match=r"can't be met: 1,216 are left"):
        cut(attention(), macs=0.5, criterion="bn-scale")


def test_the_lowest_go_first_whatever_the_budget() -> None:
    """What goes for a wide budget goes for a narrow one too."""
    before = residual(1)
    kept: list[set[bytes]] = []
    for budget in (0.8, 0.5, 0.3):
        made = cut(before, parameters=budget, round_to=1, layers=["a1"], recalibrate="none")
        rows = next(layer for layer in made.layers if layer.name == "a1").weight.array()
        kept.append({np.ascontiguousarray(row).tobytes() for row in rows})
    assert kept[0] > kept[1] > kept[2]
