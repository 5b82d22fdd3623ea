"""Laws over the table of channel-flow rules: the registry is the list of tests."""

from __future__ import annotations

from typing import Final

import onnx
import onnx_ir as ir
import pytest

from onnxpress.channels import CHANNEL_FLOW, Channels, find_channels
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.core.channels import rules
from tests.core.channels.cases import CASES, Case, Place
from tests.core.channels.zeroing import difference, without, zeroed_and_cut

assert rules  # registers the cases

KEPT: Final = {
    "If": "needs bodies: see test_find",
    "Loop": "needs bodies: see test_find",
    "Scan": "needs bodies: see test_find",
    "Bernoulli": "random",
    "Multinomial": "random",
    "RandomNormal": "reads nothing",
    "RandomNormalLike": "random",
    "RandomUniform": "reads nothing",
    "RandomUniformLike": "random",
    "BlackmanWindow": "reads a size",
    "HammingWindow": "reads a size",
    "HannWindow": "reads a size",
    "MelWeightMatrix": "reads sizes",
    "Range": "reads numbers",
}
"""Operators that keep all that they read whole and have no case, and why they have none."""


def test_every_rule_has_a_case() -> None:
    tested = {(case.domain, case.op) for case in CASES} | {("", op) for op in KEPT}
    untested = {rule.operator for rule in CHANNEL_FLOW if (rule.domain, rule.op) not in tested}
    assert not untested


def test_what_has_no_case_keeps_all_whole() -> None:
    names = {rule.op: rule.apply.__name__ for rule in CHANNEL_FLOW}
    assert {names[op] for op in KEPT} == {"_whole"}


def test_no_two_cases_are_called_the_same() -> None:
    names = [str(case) for case in CASES]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_exactly_these_axes_can_be_cut(case: Case) -> None:
    channels = _found(case, case.model())
    assert _free(case, channels) == case.places
    if case.sizes is not None:
        assert sorted(group.size for group in channels.groups) == list(case.sizes)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_is_lost_but_zeros(case: Case) -> None:
    model = case.model()
    for share, seed in [(0.3, 0), (0.5, 1), (0.8, 2)]:
        _check_cut(case, model, share, seed)


@pytest.mark.parametrize("case", [c for c in CASES if c.dynamic], ids=str)
def test_open_sizes_make_no_difference(case: Case) -> None:
    model = case.model(dynamic=True)
    opened = {(f"x{i}", axis) for i, names in case.dynamic.items() for axis in names}
    channels = _found(case, model)
    assert not _free(case, channels) & opened
    assert _free(case, channels) >= {p for p in case.places if p[0].startswith("x")} - opened
    for share, seed in [(0.3, 0), (0.7, 1)]:
        _check_cut(case, model, share, seed, dynamic=True)


def _found(case: Case, model: Model) -> Channels:
    return find_channels(model, split=case.split, cut_outputs=case.results)


def _free(case: Case, channels: Channels) -> set[Place]:
    """Return the axes of the node's inputs and outputs on which something can be cut."""
    names = {f"x{i}" for i in case.given} | set(case.results)
    members = [m for g in channels.groups for m in (*g.members, *g.activations)]
    return {(m.tensor, m.axis) for m in members if m.tensor in names}


def _check_cut(case: Case, model: Model, share: float, seed: int, *, dynamic: bool = False) -> None:
    whole, cut, channels, removed = zeroed_and_cut(
        model, share, seed=seed, split=case.split, cut_outputs=case.results
    )
    cut.check()
    feeds = case.feeds(seed, dynamic=dynamic)
    wanted = without(Session(whole).run(feeds), channels, removed)
    got = Session(cut).run(feeds)
    for name in case.results:
        found = difference(got[name], wanted[name])
        assert found <= case.tolerance, f"{name}: {got[name].shape} for {wanted[name].shape}"
    if case.op != "MeanVarianceNormalization":  # ONNX can't infer its shape
        _check_noted_shapes(cut)


def _check_noted_shapes(model: Model) -> None:
    """Let ONNX compare the shapes that the graph notes with those that follow."""
    proto = ir.to_proto(model.ir)
    onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
