"""Labels: a number for every position on an axis, and which of them go or stay together.

Positions with one number are one slice; `tie` says that two numbers are cut together, `pin`
that a number is never cut.  Nothing is decided on the way: `solve` looks at all of it at once,
so that the order in which nodes are visited does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ids: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Solved:
    """What follows from all ties and pins.

    Attributes:
        classes: The class of every number, from 0; numbers of one class are cut together.
        pin: For every class the index of the first reason in `reasons`, -1 if it may be cut.
        reasons: Why something is never cut, in words for a user.
        sources: Whose each reason is: the number of a node, -1 for the model as a whole.
    """

    classes: Ids
    pin: Ids
    reasons: tuple[str, ...]
    sources: tuple[int, ...]

    def free(self, ids: Ids) -> Flags:
        """Say which of some numbers may be cut."""
        return self.pin[self.classes[ids]] < 0

    def reason(self, ids: Ids) -> str | None:
        """Return why some of these numbers can't be cut, None if all can."""
        pins = self._pins(ids)
        return self.reasons[pins[0]] if pins.size else None

    def origins(self, ids: Ids) -> set[int]:
        """Return whose reasons keep any of these numbers: the numbers of nodes, or -1."""
        return {self.sources[pin] for pin in np.unique(self._pins(ids))}

    def _pins(self, ids: Ids) -> Ids:
        pins = self.pin[self.classes[ids]]
        return pins[pins >= 0]


@dataclass
class Labels:
    """Numbers, handed out one after the other, and what is known of them.

    Attributes:
        count: How many numbers there are.
        source: The number of the node that is visited now, -1 if none is.
        ties: What is cut together.
    """

    count: int = 0
    source: int = -1
    ties: list[tuple[Ids, Ids]] = field(default_factory=list)
    _pins: list[tuple[Ids, str, int]] = field(default_factory=list)

    def fresh(self, size: int) -> Ids:
        """Return numbers that nothing has yet."""
        self.count += size
        return np.arange(self.count - size, self.count)

    def tie(self, first: Ids, second: Ids) -> None:
        """Let ``first[i]`` and ``second[i]`` be cut together."""
        if first is not second:
            self.ties.append((first, second))

    def pin(self, ids: Ids, reason: str) -> None:
        """Let these never be cut."""
        self._pins.append((ids, reason, self.source))

    def solve(self) -> Solved:
        """Return what follows."""
        roots = components(self.count, self.ties)
        _, classes = np.unique(roots, return_inverse=True)
        pin = np.full(int(classes.max(initial=-1)) + 1, -1, np.int64)
        for index in range(len(self._pins) - 1, -1, -1):  # the first reason wins
            pin[classes[self._pins[index][0]]] = index
        reasons = tuple(reason for _, reason, _ in self._pins)
        return Solved(classes, pin, reasons, tuple(source for *_, source in self._pins))


def components(count: int, ties: list[tuple[Ids, Ids]]) -> Ids:
    """Return for every number the lowest one that it is connected with.

    Shiloach and Vishkin 1982: hook every root on the lowest root beside it, then let everything
    point at its root; a few rounds of whole arrays.
    """
    label = np.arange(count)
    if not ties:
        return label
    first = np.concatenate([a for a, _ in ties])
    second = np.concatenate([b for _, b in ties])
    while True:
        a, b = label[first], label[second]
        apart = a != b
        if not apart.any():
            return label
        a, b = a[apart], b[apart]
        np.minimum.at(label, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(label, shorter := label[label]):
            label = shorter
