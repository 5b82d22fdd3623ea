"""LSTM, GRU and RNN taken apart: one direction at a time, each tensor without that axis.

Notation: T steps, B sequences, I inputs, H units, D directions, and G rows of gates, which are H
times the number of gates.  ``x`` is (T, B, I), ``w`` (G, I), ``r`` (G, H), states are (B, H).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from onnxpress.autodiff.requests import requested
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import size, vector
from onnxpress.autodiff.tensor import Tensor
from onnxpress.graph.types import Dim

X, W, R, B, LENGTHS, H0, C0, P = range(8)
"""The inputs; GRU and RNN have those up to `H0`."""

_END: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Direction:
    """One direction of a node.

    Attributes:
        backwards: Whether it begins with the last step.
        x: The input, the same for all directions.
        w: The weights of the input.
        r: The weights of the state.
        biases: Those of the input and of the state, (G) each; None if the node has none.
        y: The state after every step, (T, B, H).
        first: The states before the first step: one, or two of an LSTM.
        dy: What arrives at `y`; None if nothing does.
        last: What arrives at the states after the last step.
    """

    backwards: bool
    x: Tensor
    w: Tensor
    r: Tensor
    biases: tuple[Tensor, Tensor] | None
    y: Tensor
    first: Sequence[Tensor]
    dy: Tensor | None
    last: Sequence[Tensor]

    def of_input(self) -> Tensor:
        """Return what the input gives to the gates at every step, with its bias, (T, B, G)."""
        product = self.x @ self.w.transpose(1, 0)
        return product if self.biases is None else product + self.biases[0]

    def of_state(self, state: Tensor) -> Tensor:
        """Return what a state gives to the gates, with its bias."""
        product = state @ self.r.transpose(1, 0)
        return product if self.biases is None else product + self.biases[1]

    @property
    def arriving(self) -> list[Tensor]:
        """What arrives at `y`, as a list that is empty if nothing does."""
        return [] if self.dy is None else [self.dy]

    def before(self, states: Tensor, first: Tensor) -> Tensor:
        """Return what a state was before every step, from what it was after, (T, B, H)."""
        op, begin = states.op, first.unsqueeze(0)
        if self.backwards:
            parts = [between(states, 1, _END, axis=0), begin]
        else:
            parts = [begin, between(states, 0, -1, axis=0)]
        return op.typed(op.concat(parts).value, states.dtype, states.shape)


def directions(at: Site, states: int) -> list[Direction]:
    """Return the directions of a node that has so many states."""
    way = at.text("direction", "forward")
    ways = [False, True] if way == "bidirectional" else [way == "reverse"]
    count, x = len(ways), sequence(at)
    known = (*x.shape[:2], units(at)) if x.shape else (None,) * 3
    y = requested(at, 0, x.dtype, (known[0], count, *known[1:]))
    nothing: list[Tensor | None] = [None] * count
    biases = parted(_ranked(at.input(B), 2), count) if at.has(B) else nothing
    first = [parted(_first(at, i, x, count), count) for i in range(states)]
    arrived = nothing if at.dy[0] is None else [*parted(_ranked(at.dy[0], 4), count, axis=1)]
    last = [parted(_last(at, i, x, count), count) for i in range(states)]
    pairs = [None if b is None else _halves(b) for b in biases]
    w, r = (parted(_ranked(at.input(i), 3), count) for i in (W, R))
    ys = parted(y, count, axis=1)
    return [
        Direction(
            ways[i], x, w[i], r[i], pairs[i], ys[i],
            [f[i] for f in first], arrived[i], [f[i] for f in last],
        )
        for i in range(count)
    ]  # fmt: skip


def sequence(at: Site) -> Tensor:
    """Return the input, which has three axes even if nothing is known of it."""
    return _ranked(at.input(X), 3)


def units(at: Site) -> Dim:
    """Return H, if it is known."""
    r = at.input(R).shape
    return at.integer("hidden_size") or (None if r is None else r[-1])


def parted(x: Tensor, count: int, axis: int = 0) -> list[Tensor]:
    """Take a tensor apart along the axis of directions."""
    pieces = [x] if count == 1 else equally(x, count, axis)
    shape = None if x.shape is None else x.shape[:axis] + x.shape[axis + 1 :]
    return [x.op.typed(p.squeeze(axis).value, x.dtype, shape) for p in pieces]


def equally(x: Tensor, count: int, axis: int = -1) -> list[Tensor]:
    """Split into so many equal parts."""
    op, shape = x.op, None
    if x.shape is not None:
        at, whole = axis % len(x.shape), x.shape[axis]
        part = whole // count if isinstance(whole, int) else None
        shape = (*x.shape[:at], part, *x.shape[at + 1 :])
    pieces = op.many("Split", count, x, axis=axis, num_outputs=count)
    return [op.typed(piece.value, x.dtype, shape) for piece in pieces]


def between(x: Tensor, start: int, end: int, axis: int) -> Tensor:
    """Return a part of an axis."""
    op = x.op
    part = op("Slice", x, op.ints(start), op.ints(end), op.ints(axis))
    shape = None if x.shape is None else (*x.shape[:axis], None, *x.shape[axis + 1 :])
    return op.typed(part.value, x.dtype, shape)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Put gates side by side."""
    op, first = parts[0].op, parts[0]
    last = [None if p.shape is None else p.shape[-1] for p in parts]
    numbers = [n for n in last if isinstance(n, int)]
    width = sum(numbers) if len(numbers) == len(last) else None
    shape = None if first.shape is None else (*first.shape[:-1], width)
    return op.typed(op.concat(parts, axis=-1).value, first.dtype, shape)


def _halves(bias: Tensor) -> tuple[Tensor, Tensor]:
    first, second = equally(bias, 2)
    return first, second


def _first(at: Site, index: int, x: Tensor, count: int) -> Tensor:
    """Return a state before the first step, (D, B, H): zeros if it is not given."""
    if at.has(H0 + index):
        return _ranked(at.input(H0 + index), 3)
    op, h = at.op, units(at)
    width = h if isinstance(h, int) else size(at.input(R), -1)
    shape = vector(op, count, size(x, 1), width)
    zeros = op("Expand", op.constant(np.zeros(()), x.dtype), shape)
    return op.typed(zeros.value, x.dtype, (count, x.shape[1] if x.shape else None, h))


def _last(at: Site, index: int, x: Tensor, count: int) -> Tensor:
    """Return what arrives at a state after the last step."""
    arrived = at.dy[1 + index] if len(at.dy) > 1 + index else None
    return _ranked(arrived or at.op.zeros_like(_first(at, index, x, count)), 3)


def _ranked(x: Tensor, rank: int) -> Tensor:
    """Note how many axes the standard says a tensor has, if nothing is known of its shape."""
    return x if x.shape is not None else x.op.typed(x.value, x.dtype, (None,) * rank)
