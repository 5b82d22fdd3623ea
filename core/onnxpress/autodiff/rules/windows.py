"""Sliding windows: how they move, how much padding they see, and what they see.

Sizes are numbers as far as they are known; what is left open (padding by ``auto_pad`` of tensors
without sizes, kernels of computed weights) is a tensor that the run fills in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Final, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.tensor import Tensor
from onnxpress.graph.types import Dim

Sizes: TypeAlias = "tuple[int, ...] | Tensor"
"""One number per spatial axis, or all of them in a tensor of int64."""

_LAST: Final = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Window:
    """How a window moves over the spatial axes of a tensor ``(N, C, …)``.

    Attributes:
        kernel: Its sizes.
        strides: How far it moves.
        dilations: How far apart the elements are that it sees.
        begin: How many elements are added before the first.
        end: How many are added behind the last.
    """

    kernel: Sizes
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: Sizes
    end: Sizes

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that it moves along."""
        return tuple(range(2, 2 + len(self.strides)))

    @property
    def reach(self) -> tuple[int, ...] | None:
        """How many elements it spans, if that is known."""
        if isinstance(self.kernel, Tensor):
            return None
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def count(self) -> int | None:
        """How many elements it sees at once, if that is known."""
        return None if isinstance(self.kernel, Tensor) else prod(self.kernel)

    @property
    def steps_by_one(self) -> bool:
        """Whether all strides are 1."""
        return set(self.strides) <= {1}

    @property
    def pads(self) -> tuple[int, ...] | None:
        """The padding as the attribute ``pads`` lists it, if it is known."""
        if isinstance(self.begin, Tensor) or isinstance(self.end, Tensor):
            return None
        return (*self.begin, *self.end)

    @property
    def bare(self) -> Window:
        """The same without padding."""
        none = (0,) * len(self.strides)
        return replace(self, begin=none, end=none)

    @property
    def turned_pads(self) -> tuple[int, ...] | None:
        """The padding of what comes out, when weights turned round move over it one by one."""
        if self.reach is None or self.pads is None:
            return None
        return tuple(r - 1 - p for r, p in zip(self.reach * 2, self.pads, strict=True))

    def padded(self, x: Tensor, filling: float | None = None) -> Tensor:
        """Return `x` with the padding written out."""
        op = x.op
        if self.pads is not None and not any(self.pads):
            return x
        value = None if filling is None else op.constant(filling, x.dtype)
        found = op("Pad", x, full_pads(op, self.begin, self.end), value)
        return op.typed(found.value, x.dtype, self._padded_shape(x))

    def _padded_shape(self, x: Tensor) -> tuple[Dim, ...] | None:
        if x.shape is None:
            return None
        if isinstance(self.begin, Tensor) or isinstance(self.end, Tensor):
            return (*x.shape[:2], *(None for _ in self.axes))
        triples = zip(x.shape[2:], self.begin, self.end, strict=True)
        return (*x.shape[:2], *(n + a + b if isinstance(n, int) else None for n, a, b in triples))

    def fitted(self, x: Tensor, y: Tensor) -> Window:
        """Return the same with as much padding at the end as the last of its positions reaches.

        That is less than none where strides leave a rest, and more than the node says where
        ``ceil_mode`` adds a position.
        """
        if self.steps_by_one:
            return self
        size, count, begin, reach = spatial(x), spatial(y), self.begin, self.reach
        if isinstance(size, tuple) and isinstance(count, tuple) and isinstance(begin, tuple):
            assert reach is not None
            sums = zip(count, self.strides, reach, size, begin, strict=True)
            return replace(self, end=tuple((n - 1) * s + r - (m + b) for n, s, r, m, b in sums))
        op, steps, reached = x.op, np.array(self.strides), np.array(reach)
        last = (tensor_of(op, count) - 1) * steps + reached
        return replace(self, end=last - tensor_of(op, size) - tensor_of(op, begin))

    @property
    def grown(self) -> Window:
        """The same without padding less than none."""
        if isinstance(self.end, Tensor):
            return self
        return replace(self, end=tuple(max(n, 0) for n in self.end))

    def accepted(self, x: Tensor) -> tuple[Tensor, Window]:
        """Return `x` and this window such that a node takes the padding as an attribute."""
        if self.pads is not None and min(self.pads) >= 0:
            return x, self
        return self.padded(x), self.bare

    def offsets(self) -> Iterator[tuple[int, ...]]:
        """Yield the places inside the window, the last axis fastest."""
        assert not isinstance(self.kernel, Tensor)
        return product(*map(range, self.kernel))

    def seen(self, padded: Tensor, offset: Sequence[int], count: Sizes | None = None) -> Tensor:
        """Return what the window sees in one place inside it, for all its positions.

        Args:
            padded: What it moves over, with its padding.
            offset: The place inside the window.
            count: How many positions there are; not needed if all strides are 1 and the
                windows fill `padded`.
        """
        moves = list(zip(offset, self.strides, self.dilations, strict=True))
        starts = [o * d for o, _, d in moves]
        if self.steps_by_one and (count is None or isinstance(count, Tensor)):
            return self._shifted(padded, starts)
        assert count is not None
        if isinstance(count, Tensor):
            rest = [start + 1 - s for start, s in zip(starts, self.strides, strict=True)]
            ends = count * np.array(self.strides) + np.array(rest)
        else:
            stops = [
                a + (n - 1) * s + 1 for a, n, s in zip(starts, count, self.strides, strict=True)
            ]
            if self._whole(padded, starts, stops):
                return padded
            ends = padded.op.ints(*stops)
        return self._slice(padded, starts, ends, self.strides)

    def _whole(self, padded: Tensor, starts: Sequence[int], stops: Sequence[int]) -> bool:
        """Say whether a slice takes all there is."""
        sizes = None if padded.shape is None else list(padded.shape[2:])
        return self.steps_by_one and not any(starts) and sizes == list(stops)

    def _shifted(self, padded: Tensor, starts: Sequence[int]) -> Tensor:
        """Slice by counting from the end, which needs no sizes."""
        assert self.reach is not None
        left = [start + 1 - reach for start, reach in zip(starts, self.reach, strict=True)]
        if not any(starts) and not any(left):
            return padded
        return self._slice(padded, starts, padded.op.ints(*(n or _LAST for n in left)), None)

    def _slice(
        self, x: Tensor, starts: Sequence[int], ends: Tensor, steps: Sequence[int] | None
    ) -> Tensor:
        op = x.op
        strides = None if steps is None or set(steps) == {1} else op.ints(*steps)
        return op("Slice", x, op.ints(*starts), ends, op.ints(*self.axes), strides)


def spatial(x: Tensor) -> Sizes:
    """Return the sizes behind the first two axes: numbers if all are known."""
    known = tuple(dim for dim in (x.shape or ())[2:] if isinstance(dim, int))
    if x.shape is not None and len(known) == len(x.shape) - 2:
        return known
    return x.op("Shape", x, start=2)


def tensor_of(op: Builder, sizes: Sizes) -> Tensor:
    """Return sizes as a tensor, int64."""
    return sizes if isinstance(sizes, Tensor) else op.ints(*sizes)


def full_pads(op: Builder, begin: Sizes, end: Sizes) -> Tensor:
    """Return the pads of all axes, of which the first two have none."""
    if isinstance(begin, Tensor) or isinstance(end, Tensor):
        none = op.ints(0, 0)
        return op.concat([none, tensor_of(op, begin), none, tensor_of(op, end)])
    return op.ints(0, 0, *begin, 0, 0, *end)


def resized(x: Tensor, before: Sizes, sizes: Sizes) -> Tensor:
    """Drop what comes `before` along the spatial axes, then cut or fill with zeros to `sizes`."""
    op = x.op
    begin, have = tensor_of(op, before), op("Shape", x, start=2)
    return op("Pad", x, full_pads(op, -begin, tensor_of(op, sizes) + begin - have))


def shaped_like(x: Tensor, like: Tensor) -> Tensor:
    """Return `x`, of which more may be known, namely all that is known of `like`."""
    if like.shape is None or x.fixed is not None:
        return x
    known = x.shape or (None,) * len(like.shape)
    dims = [a if isinstance(a, int) else b for a, b in zip(known, like.shape, strict=True)]
    return x.op.typed(x.value, x.dtype, dims)


def lowest(dtype: ir.DataType | None) -> float:
    """Return the least finite number of a type."""
    return float(np.finfo((dtype or ir.DataType.FLOAT).numpy()).min)
