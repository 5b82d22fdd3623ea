"""How many channels stay: shares, rounding, bounds, and ranking over all groups."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onnxpress.channels import Group, Member
from onnxpress_pruning.removal.counts import Limits, each, lowest, together


def group(size: int, name: str = "g", multiple: int = 1) -> Group:
    """Return a group of which one channel takes `multiple` positions where it is made."""
    made = Member("made", 0, np.repeat(np.arange(size), multiple))
    return Group(name, size, (), (made,))


def scores(size: int) -> np.ndarray:
    return np.arange(1.0, size + 1)


@pytest.mark.parametrize(
    ("size", "share", "left"),
    [
        (64, 0.5, 32),
        (64, 0.3, 48),  # 45 of 64: nearer to 48 than to 40
        (64, 0.4375, 40),  # 36 lies half way: up
        (64, 0.45, 32),  # 35
        (16, 0.25, 16),  # 12 lies half way between 8 and all
        (20, 0.0, 20),  # what nothing is asked of stays whole, multiple or not
        (20, 0.1, 20),  # 18: all are as near as 16
        (20, 0.15, 16),  # 17
        (8, 0.5, 4),  # not more than 8: any number
        (6, 0.5, 3),
        (10, 0.9, 8),  # never less than one multiple
    ],
)
def test_multiples_of_eight(size: int, share: float, left: int) -> None:
    limits = Limits()
    least = np.array([limits.least(group(size), scores(size))])
    assert each([group(size)], [share], limits, least).tolist() == [left]


@pytest.mark.parametrize(("share", "left"), [(0.5, 7), (0.4, 9), (0.47, 8), (0.99, 1), (0.0, 15)])
def test_any_number_with_round_to_one(share: float, left: int) -> None:
    limits = Limits(round_to=1)
    least = np.array([limits.least(group(15), scores(15))])
    assert each([group(15)], [share], limits, least).tolist() == [left]


@pytest.mark.parametrize(
    ("size", "multiple", "unit"), [(12, 64, 1), (8, 4, 2), (8, 3, 1), (9, 3, 8)]
)
def test_heads_are_rounded_by_their_positions(size: int, multiple: int, unit: int) -> None:
    limits = Limits()
    assert limits.unit(group(size, multiple=multiple)) == unit
    if limits.unit(group(size, multiple=multiple)) > 1:
        assert unit * multiple % limits.round_to == 0


@pytest.mark.parametrize(
    ("at_most", "round_to", "least", "bound"),
    [
        (1.0, 8, 8, "round-to=8"),
        (1.0, 1, 1, "one must stay"),
        (0.25, 8, 48, "at-most=0.25"),
        (0.3, 8, 48, "at-most=0.3"),  # 45 at least, as a multiple
        (0.3, 1, 45, "at-most=0.3"),
    ],
)
def test_what_stays_at_least_and_why(at_most: float, round_to: int, least: int, bound: str) -> None:
    limits = Limits(round_to, at_most)
    assert limits.least(group(64), scores(64)) == least
    assert limits.bound(group(64), scores(64)) == bound


def test_channels_of_infinite_score_stay() -> None:
    own = scores(64)
    own[:50] = np.inf
    assert Limits().least(group(64), own) == 56
    assert Limits(1).least(group(64), own) == 50
    assert Limits(1).bound(group(64), own) == "the criterion ranks no others"
    least = np.array([50])
    assert together([group(64)], [own], 0.9, Limits(1), least).tolist() == [50]
    assert lowest(own, 14).tolist() == list(range(50, 64))


def test_the_lowest_of_all_groups_go() -> None:
    groups = [group(4, "a"), group(4, "b")]
    own = [np.array([1.0, 2, 3, 4]), np.array([2.5, 10, 20, 30])]
    least = np.array([1, 1])
    counts = [together(groups, own, s, Limits(1), least).tolist() for s in (0, 0.25, 0.5, 0.99)]
    assert counts == [[4, 4], [2, 4], [1, 3], [1, 1]]


def test_what_a_group_must_keep_lets_others_lose_more() -> None:
    groups = [group(4, "a"), group(4, "b")]
    own = [np.array([1.0, 2, 3, 4]), np.array([10.0, 20, 30, 40])]
    limits = Limits(1, at_most=0.5)
    assert together(groups, own, 0.5, limits, np.array([2, 2])).tolist() == [2, 2]


def test_a_head_counts_as_all_its_dimensions() -> None:
    groups = [group(4, "heads", multiple=6), group(24, "channels")]
    own = [np.array([1.0, 2, 30, 40]), np.full(24, 10.0)]
    least = np.array([1, 1])
    # A quarter of 48 positions are two heads.
    assert together(groups, own, 0.25, Limits(1), least).tolist() == [2, 24]
    # Half are two heads and twelve channels.
    assert together(groups, own, 0.5, Limits(1), least).tolist() == [2, 12]


def test_more_never_stays_if_more_is_to_go() -> None:
    rng = np.random.default_rng(0)
    groups = [group(size, str(size)) for size in (5, 16, 24, 33, 64)]
    own = [rng.random(g.size) for g in groups]
    for limits in (Limits(1), Limits(8), Limits(8, 0.6)):
        least = np.array([limits.least(g, s) for g, s in zip(groups, own, strict=True)])
        shares = np.linspace(0, 1, 41)
        global_ = np.array([together(groups, own, share, limits, least) for share in shares])
        alike = np.array([each(groups, [share] * 5, limits, least) for share in shares])
        for counts in (global_, alike):
            assert (np.diff(counts, axis=0) <= 0).all()
            assert (counts[0] == [g.size for g in groups]).all()
            assert (counts[-1] == least).all()


def test_of_equal_scores_the_first_go() -> None:
    assert lowest(np.array([3.0, 1, 1, 2, 1]), 2).tolist() == [1, 2]
    assert lowest(np.array([math.nan, 1, math.inf, 0]), 2).tolist() == [1, 3]
