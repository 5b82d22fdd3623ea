"""Reshapes as digits: how positions on the axes before lie on those after.

A reshape sees a tensor as one row of elements, and a position in that row as a number with one
digit for every axis.  Before and after, the digits have other borders; between any two borders
that follow each other lies a digit that both sides have, each within one of its axes::

    (heads·64) → (heads, 64)        borders after: 1, 64, heads·64
    (C, H, W) → (C·H·W)             borders before: 1, W, H·W, C·H·W
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from onnxpress.graph.constants import Shape

if TYPE_CHECKING:
    from onnxpress.data.batch import Array

Block: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Digit:
    """A digit that an axis before and an axis after share.

    Attributes:
        before: The axis before.
        after: The axis after.
        count: How many values it has.
        step_before: How far apart on the axis before the positions are of its next value.
        step_after: The same on the axis after.
    """

    before: int
    after: int
    count: int
    step_before: int
    step_after: int

    def on_before(self, size: int) -> Array:
        """Return the digit of each of `size` positions on the axis before."""
        return np.arange(size) // self.step_before % self.count

    def on_after(self, size: int) -> Array:
        """Return the digit of each of `size` positions on the axis after."""
        return np.arange(size) // self.step_after % self.count


def blocks(before: Shape, after: Shape) -> list[Block] | None:
    """Return which axes before make up which axes after, the fewest at a time.

    Axes of size 1 belong to no block.  None if the shapes have not as many elements.
    """
    left = [i for i, n in enumerate(before) if n != 1]
    right = [i for i, n in enumerate(after) if n != 1]
    found: list[Block] = []
    while left or right:
        if not (left and right):
            return None
        own, other = [left.pop(0)], [right.pop(0)]
        a, b = before[own[0]], after[other[0]]
        while a != b:
            if a < b and left:
                own.append(left.pop(0))
                a *= before[own[-1]]
            elif b < a and right:
                other.append(right.pop(0))
                b *= after[other[-1]]
            else:
                return None
        found.append((tuple(own), tuple(other)))
    return found


def digits(before: Shape, after: Shape, block: Block) -> list[Digit]:
    """Return the digits of a block that lie within one axis on both sides, the last one first."""
    borders_before, borders_after = _borders(before, block[0]), _borders(after, block[1])
    borders = sorted({*borders_before, *borders_after})
    found = []
    for low, high in pairwise(borders):
        i, step_i, end_i = _axis_at(borders_before, block[0], low)
        j, step_j, end_j = _axis_at(borders_after, block[1], low)
        # A border may lie across a digit of the other side: (4, 6) → (6, 4).
        steps = [(step_i, low), (step_j, low), (low, high), (high, end_i), (high, end_j)]
        if all(larger % smaller == 0 for smaller, larger in steps):
            found.append(Digit(i, j, high // low, low // step_i, low // step_j))
    return found


def _borders(shape: Shape, axes: tuple[int, ...]) -> list[int]:
    """Return how many elements lie behind each axis, the last axis first, and all at the end."""
    found = [1]
    for axis in reversed(axes):
        found.append(found[-1] * shape[axis])
    return found


def _axis_at(borders: list[int], axes: tuple[int, ...], low: int) -> tuple[int, int, int]:
    """Return the axis that holds what begins at a border, and the borders of that axis."""
    index = max(i for i, border in enumerate(borders[:-1]) if border <= low)
    return axes[len(axes) - 1 - index], borders[index], borders[index + 1]
