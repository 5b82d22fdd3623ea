"""Positions as bits and as gaps: there and back, at every length."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.packing.positions import (
    from_gaps,
    from_planes,
    from_skips,
    planes_length,
    to_gaps,
    to_planes,
    to_skips,
    with_stops,
)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 15, 16, 17, 1000])
def test_bit_planes_there_and_back(size: int) -> None:
    mask = np.random.default_rng(size).random(size) < 0.4
    planes = to_planes(mask)
    assert planes.shape == (1, planes_length(size))
    assert np.array_equal(from_planes(planes, size), mask)


def test_a_bit_of_every_byte_is_a_row_of_elements() -> None:
    mask = np.zeros(16, np.bool_)
    mask[[0, 3]] = True  # bit 0 of byte 0, bit 1 of byte 1
    assert to_planes(mask).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("kept", "longest", "expected"),
    [
        ([], 15, []),
        ([0], 15, [0]),
        ([15], 15, [15]),
        ([16], 15, [15, 16]),
        ([3, 4, 34, 35], 15, [3, 4, 19, 34, 35]),
        ([3, 35], 15, [3, 18, 33, 35]),
        ([0, 255, 511], 255, [0, 255, 510, 511]),
    ],
)
def test_stops_where_a_gap_is_too_long(kept: list[int], longest: int, expected: list[int]) -> None:
    positions = with_stops(np.array(kept, np.int64), longest)
    assert positions.tolist() == expected
    gaps = to_gaps(positions)
    assert not gaps.size or gaps.max() <= longest
    assert from_gaps(gaps).tolist() == expected


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([], []),
        ([0], [0]),
        ([14], [14]),
        ([15], [15, 1]),
        ([3, 4, 32], [3, 1, 15, 14]),
        ([3, 33], [3, 15, 15, 2]),
    ],
)
def test_skips_where_a_gap_is_too_long(kept: list[int], expected: list[int]) -> None:
    codes = to_skips(np.array(kept, np.int64))
    assert codes.tolist() == expected
    assert from_skips(codes).tolist() == kept


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
def test_skips_there_and_back(share: float) -> None:
    kept = np.flatnonzero(np.random.default_rng(3).random(5000) < share)
    codes = to_skips(kept)
    assert codes.max() <= 15
    assert from_skips(codes).tolist() == kept.tolist()
