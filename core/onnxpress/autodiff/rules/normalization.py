"""Normalization of every sample by its own mean and variance.

With ``x̂ = (x - mean) · inv`` and ``inv = 1 / √(variance + ε)`` over some axes::

    dx = inv · (dx̂ - mean(dx̂) - x̂ · mean(dx̂ · x̂))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.rules.batch_norm import channelled
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError


@dataclass(frozen=True)
class Normalized:
    """A tensor of mean 0 and variance 1.

    Attributes:
        x: Its elements.
        inv: What it was multiplied by, one number for all that were normalized together.
        axes: The axes along which it was.
        centred: Whether the mean was taken off before.
    """

    x: Tensor
    inv: Tensor
    axes: tuple[int, ...]
    centred: bool = True

    def back(self, d: Tensor) -> Tensor:
        """Return the gradient of what was normalized from that of the result."""
        along = (d * self.x).mean(self.axes)
        if not self.centred:
            return self.inv * (d - self.x * along)
        return self.inv * (d - d.mean(self.axes) - self.x * along)


def normalized(
    x: Tensor, axes: Sequence[int], epsilon: float, *, centre: bool = True
) -> Normalized:
    """Normalize along some axes."""
    op, along = x.op, tuple(axes)
    centred = x - x.mean(along) if centre else x
    inv = op("Reciprocal", op("Sqrt", (centred * centred).mean(along) + epsilon))
    return Normalized(centred * inv, inv, along, centre)


@GRADIENTS("LayerNormalization")
def _layer(at: Site) -> Gradients:
    dy, scale = at.gradient, at.input(1)
    axes, unit = _last_axes(at), _layer_normalized(at)
    dx = _with_statistics(at, unit, unit.back(dy * scale), axes) if at.needs(0) else None
    return dx, at.unbroadcast(dy * unit.x, 1), at.unbroadcast(dy, 2)


def _last_axes(at: Site) -> tuple[int, ...]:
    """Return the axes from the attribute ``axis`` on."""
    axis, rank = at.axis(), at.input(0).rank
    if rank is None and axis >= 0:
        raise ModelError(
            f"how many axes {at.node.op_type} {at.node.name!r} has is unknown; "
            "give its input a shape"
        )
    return tuple(range(axis, 0)) if rank is None else tuple(range(axis % rank, rank))


def _layer_normalized(at: Site) -> Normalized:
    """Normalize from the statistics that a node gives, or else by the operator without scale."""
    x, axes, scale = at.input(0), _last_axes(at), at.input(1).fixed
    mean, inv = _statistics(at)
    if mean is not None and inv is not None:
        inv = inv.cast(x.dtype)
        return Normalized((x - mean.cast(x.dtype)) * inv, inv, axes)
    epsilon = at.number("epsilon", 1e-5)
    if scale is None:
        return normalized(x, axes, epsilon)
    ones = at.op.constant(np.ones(scale), x.dtype or ir.DataType.FLOAT)
    axis = at.integer("axis", -1)
    plain, _, inv = at.op.many("LayerNormalization", 3, x, ones, axis=axis, epsilon=epsilon)
    sizes = None if x.shape is None else [1 if i in axes else n for i, n in enumerate(x.shape)]
    inv = at.op.typed(inv.value, ir.DataType.FLOAT, sizes).cast(x.dtype)
    return Normalized(at.op.typed(plain.value, x.dtype, x.shape), inv, axes)


def _statistics(at: Site) -> tuple[Tensor | None, Tensor | None]:
    """Return the mean and the inverse standard deviation, if they are outputs of the node."""
    given = (*at.y[1:], None, None)
    return given[0], given[1]


def _with_statistics(at: Site, unit: Normalized, dx: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Add what reaches the input through the node's statistics; second derivatives need it.

    ``d mean/dx = 1/n`` and ``d inv/dx = -inv² · x̂ / n``.
    """
    dmean, dinv = (*at.dy[1:], None, None)[:2]
    for d, factor in ((dmean, None), (dinv, -(unit.inv * unit.inv) * unit.x)):
        if d is not None:
            share = d.cast(dx.dtype) / _count(at.input(0), axes).cast(dx.dtype)
            dx = dx + (share if factor is None else share * factor)
    return dx


def _count(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return how many elements there are along some axes."""
    sizes = x.op.concat([x.size(axis) for axis in axes])
    return x.op("ReduceProd", sizes, keepdims=0)


@GRADIENTS("RMSNormalization")
def _root_mean_square(at: Site) -> Gradients:
    dy, x = at.gradient, at.input(0)
    unit = normalized(x, _last_axes(at), at.number("epsilon", 1e-5), centre=False)
    return unit.back(dy * at.input(1)), at.unbroadcast(dy * unit.x, 1)


@GRADIENTS("InstanceNormalization")
def _instance(at: Site) -> Gradients:
    x, dy = channelled(at, at.input(0)), channelled(at, at.gradient)
    spatial = tuple(range(2, x.rank or 0))
    unit = normalized(x, spatial, at.number("epsilon", 1e-5))
    dx = unit.back(dy * _per_channel(at.input(1), spatial)).reshape_like(at.input(0))
    return dx, *_affine(dy, unit.x, spatial)


@GRADIENTS("GroupNormalization", since=21)
def _group(at: Site) -> Gradients:
    """Scale and bias are one per channel from opset 21 on, the statistics one per group."""
    x, dy = channelled(at, at.input(0)), channelled(at, at.gradient)
    spatial, groups = tuple(range(2, x.rank or 0)), at.integer("num_groups")
    unit = normalized(x.reshape(0, groups, -1), (2,), at.number("epsilon", 1e-5))
    scaled = dy * _per_channel(at.input(1), spatial)
    dx = unit.back(scaled.reshape(0, groups, -1)).reshape_like(at.input(0))
    return dx, *_affine(dy, unit.x.reshape_like(x), spatial)


def _per_channel(x: Tensor, spatial: tuple[int, ...]) -> Tensor:
    """Return a vector such that it broadcasts along the channels."""
    return x.reshape(-1, *(1 for _ in spatial))


def _affine(dy: Tensor, x: Tensor, spatial: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the gradients of a scale and a bias per channel."""
    over = (0, *spatial)
    return (dy * x).sum(over, keepdims=False), dy.sum(over, keepdims=False)
