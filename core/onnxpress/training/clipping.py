"""Gradient clipping, as nodes of the training graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from onnxpress.training.optimizers import slot_type

if TYPE_CHECKING:
    from onnxpress.autodiff.tensor import Tensor

_AGAINST_ZERO: Final = 1e-6  # as in torch.nn.utils.clip_grad_norm_


def global_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Return the length of all gradients, at least one, taken as one vector.

    It has no axes; half-precision gradients are squared in float32.
    """
    op = gradients[0].op
    wide = [g if g.dtype is None else g.cast(slot_type(g.dtype)) for g in gradients]
    squares = [op("ReduceSumSquare", g, keepdims=0).cast(wide[0].dtype) for g in wide]
    return op("Sqrt", op.add(squares))


def clip_by_norm(gradients: Sequence[Tensor], largest: float) -> list[Tensor]:
    """Shorten all gradients by one factor, so that together they are at most `largest` long.

    As `torch.nn.utils.clip_grad_norm_`: the factor is ``min(1, largest / (norm + 1e-6))``.
    """
    norm = global_norm(gradients)
    one = norm.op.constant(1, norm.dtype)
    factor = norm.op("Min", largest / (norm + _AGAINST_ZERO), one)
    return [g * factor.cast(g.dtype) for g in gradients]


def clip_by_value(gradients: Sequence[Tensor], largest: float) -> list[Tensor]:
    """Limit every element to ±`largest`, as `torch.nn.utils.clip_grad_value_`."""
    return [
        g.op("Clip", g, g.op.constant(-largest, g.dtype), g.op.constant(largest, g.dtype))
        for g in gradients
    ]
