"""Digits of reshapes, against reshaping the positions themselves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from onnxpress.channels.digits import Digit, blocks, digits

SHAPES = [
    ((2, 12), (2, 3, 4)),
    ((2, 3, 4), (2, 12)),
    ((2, 3, 4, 5), (2, 60)),
    ((2, 6, 5), (2, 2, 3, 5)),
    ((4, 6), (8, 3)),
    ((12,), (2, 3, 2)),
    ((4, 6), (6, 4)),
    ((2, 1, 6), (1, 2, 6, 1)),
    ((6, 4, 5), (2, 12, 5)),
    ((24,), (24,)),
    ((2, 30), (2, 5, 2, 3)),
]


@pytest.mark.parametrize(("before", "after"), SHAPES, ids=str)
def test_blocks_hold_as_many_elements_and_all_axes(
    before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    found = blocks(before, after)
    assert found is not None
    for left, right in found:
        assert np.prod([before[i] for i in left]) == np.prod([after[i] for i in right])
    for side, shape in enumerate((before, after)):
        axes = [axis for block in found for axis in block[side]]
        assert axes == [i for i, size in enumerate(shape) if size != 1]


@pytest.mark.parametrize(("before", "after"), SHAPES, ids=str)
def test_a_digit_is_the_same_before_and_after(
    before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    for digit in _all_digits(before, after):
        left, right = _on_elements(digit, before, after)
        assert np.array_equal(left.reshape(-1), right.reshape(-1))
        assert set(np.unique(left)) == set(range(digit.count))


@pytest.mark.parametrize(("before", "after"), SHAPES, ids=str)
def test_cutting_a_digit_leaves_a_reshape(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    elements = np.arange(np.prod(before))
    for digit in _all_digits(before, after):
        for gone in range(digit.count):
            left = digit.on_before(before[digit.before]) != gone
            right = digit.on_after(after[digit.after]) != gone
            smaller = np.compress(left, elements.reshape(before), digit.before)
            wanted = np.compress(right, elements.reshape(after), digit.after)
            assert np.array_equal(smaller.reshape(wanted.shape), wanted)


@pytest.mark.parametrize(("before", "after"), SHAPES, ids=str)
def test_no_digit_is_missed(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    """If each border divides the next, digits are all there is of a position."""
    found = _all_digits(before, after)
    borders = sorted({*_borders(before), *_borders(after)})
    if all(high % low == 0 for low, high in pairwise(borders)):
        assert np.prod([digit.count for digit in found]) == np.prod(before)
    else:
        assert np.prod([digit.count for digit in found]) < np.prod(before)


def test_other_numbers_of_elements_have_no_blocks() -> None:
    assert blocks((2, 3), (7,)) is None
    assert blocks((2, 3), (6, 2)) is None
    assert blocks((), (2,)) is None
    assert blocks((1,), ()) == []


def test_the_last_digit_comes_first() -> None:
    (block,) = blocks((12,), (3, 4)) or []
    assert [digit.count for digit in digits((12,), (3, 4), block)] == [4, 3]


def _all_digits(before: tuple[int, ...], after: tuple[int, ...]) -> list[Digit]:
    return [d for block in blocks(before, after) or [] for d in digits(before, after, block)]


def _on_elements(
    digit: Digit, before: tuple[int, ...], after: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the digit of every element, as it is found on either side."""
    sides = (
        (before, digit.before, digit.on_before(before[digit.before])),
        (after, digit.after, digit.on_after(after[digit.after])),
    )
    left, right = (
        np.broadcast_to(values.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape)
        for shape, axis, values in sides
    )
    return left, right


def _borders(shape: tuple[int, ...]) -> list[int]:
    return [int(np.prod(shape[i:])) for i in range(len(shape) + 1)]
