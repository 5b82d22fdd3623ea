"""Gradients of convolution weights: several forms of the same sum, and the choice among them.

With ``y = conv(x, W)``, where a window moves over ``x``::

    dW[m, c, k] = Σ_n Σ_p dy[n, m, p] · x[n, c, p·stride + k·dilation - pad]

A matrix product of ``dy`` with shifted slices of ``x`` is much faster in ONNX Runtime than the
same as one convolution, which most texts give (METHODS D.5); that one needs no sizes, though,
and its graph does not grow with the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from onnxpress.autodiff.rules.windows import Window, spatial, tensor_of
from onnxpress.autodiff.tensor import Tensor

_MANY_OFFSETS: Final = 30  # of a kernel, from which on one slice each makes too large a graph
_FEW_CHANNELS: Final = 4  # for which slices are better joined before they are multiplied


@dataclass(frozen=True)
class Correlation:
    """What a weight gradient is computed from.

    Attributes:
        window: How the window moves over `x`.
        group: The number of groups that channels are split in.
        x: What the window moves over, ``(N, C, …)``.
        dy: What arrives at each of its positions, ``(N, M, …)``.
        weight: The weights, ``(M, C / group, …)``.
    """

    window: Window
    group: int
    x: Tensor
    dy: Tensor
    weight: Tensor

    @property
    def channels(self) -> tuple[int, int] | None:
        """How many channels a group has, of `dy` and of `x`, if that is known."""
        shape = self.weight.shape
        if shape is None or not isinstance(shape[0], int) or not isinstance(shape[1], int):
            return None
        return shape[0] // self.group, shape[1]

    def seen(self) -> list[Tensor]:
        """Return what the window sees at all positions, one tensor per place inside it."""
        padded, count = self.window.padded(self.x), spatial(self.dy)
        return [self.window.seen(padded, offset, count) for offset in self.window.offsets()]


def weight_gradient(of: Correlation) -> Tensor:
    """Return the gradient of the weights, in the form that is fastest as far as known."""
    count = of.window.count
    if count is None or count > _MANY_OFFSETS or (of.group > 1 and of.channels is None):
        return compact(of)
    if of.group > 1:
        return depthwise(of) if of.channels == (1, 1) else per_offset(of)
    few = of.channels is not None and of.channels[1] <= _FEW_CHANNELS
    return joined(of) if few and count > 1 else per_offset(of)


def per_offset(of: Correlation) -> Tensor:
    """One batched matrix product per place in the kernel, each summed over the batch.

    For a kernel of one element it is a single product.
    """
    dy = _rows(of.dy, of, 0)
    products = [dy @ _transposed(_rows(x, of, 1)) for x in of.seen()]
    sums = [p.sum((0,), keepdims=False) for p in products]
    if len(sums) == 1:
        return sums[0].reshape_like(of.weight)
    return of.x.op.concat([s.unsqueeze(-1) for s in sums], axis=-1).reshape_like(of.weight)


def joined(of: Correlation) -> Tensor:
    """One product with all slices joined as channels; for few input channels, ungrouped."""
    op, count = of.x.op, of.window.count
    assert count is not None
    x = op.concat(of.seen(), axis=1).reshape(0, 0, -1)
    product = (of.dy.reshape(0, 0, -1) @ _transposed(x)).sum((0,), keepdims=False)
    return product.reshape(0, count, -1).transpose(0, 2, 1).reshape_like(of.weight)


def depthwise(of: Correlation) -> Tensor:
    """One multiplication and sum per place in the kernel, where every channel is a group."""
    over = (0, *of.window.axes)
    sums = [(x * of.dy).sum(over, keepdims=False) for x in of.seen()]
    return of.x.op.concat([s.unsqueeze(-1) for s in sums], axis=-1).reshape_like(of.weight)


def compact(of: Correlation) -> Tensor:
    """One convolution in which batch and channels, strides and dilations change places.

    It needs no sizes.  Where strides leave a rest, there are results beyond the kernel.
    """
    op, (x, window) = of.x.op, of.window.accepted(of.x)
    swap = (1, 0, *window.axes)
    found = op(
        "Conv", _swapped(x, of.group), of.dy.transpose(*swap), group=of.group, pads=window.pads,
        strides=window.dilations, dilations=window.strides,
    )  # fmt: skip
    if not _exact(of):
        zeros = op.ints(*(0 for _ in window.axes))
        found = op("Slice", found, zeros, tensor_of(op, window.kernel), op.ints(*window.axes))
    return op.typed(found.value, of.x.dtype, (None,) * len(swap)).transpose(*swap)


def _exact(of: Correlation) -> bool:
    """Say whether the swapped convolution certainly has the size of the kernel."""
    window, size, positions = of.window, spatial(of.x), spatial(of.dy)
    if window.steps_by_one and set(window.dilations) == {1}:
        return True
    if isinstance(size, Tensor) or isinstance(positions, Tensor) or window.pads is None:
        return False
    padded = [n + sum(window.pads[i :: len(size)]) for i, n in enumerate(size)]
    moves = zip(padded, positions, window.strides, window.dilations, strict=True)
    return tuple((n - (p - 1) * s - 1) // d + 1 for n, p, s, d in moves) == window.kernel


def _rows(x: Tensor, of: Correlation, side: int) -> Tensor:
    """Return ``(N, C, positions)``, or ``(N, group, C / group, positions)``."""
    if of.group == 1:
        return x.reshape(0, 0, -1)
    assert of.channels is not None
    return x.reshape(0, of.group, of.channels[side], -1)


def _transposed(x: Tensor) -> Tensor:
    assert x.rank is not None
    *batch, rows, columns = range(x.rank)
    return x.transpose(*batch, columns, rows)


def _swapped(x: Tensor, group: int) -> Tensor:
    """Return ``(C / group, group · N, …)`` from ``(N, C, …)``."""
    op, last = x.op, spatial(x)
    axes = tuple(range(2, (x.rank or 2)))
    if group == 1:
        return x.transpose(1, 0, *axes)
    channels = x.size(1) / group
    rest = tensor_of(op, last)
    split = op("Reshape", x, op.concat([op.ints(0, group), channels, rest]))
    turned = op("Transpose", split, perm=(2, 1, 0, *(axis + 1 for axis in axes)))
    return op("Reshape", turned, op.concat([op.ints(0, -1), rest]))
