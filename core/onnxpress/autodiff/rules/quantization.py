"""Quantization, straight through: rounding counts as the identity.

The gradient of a quantized tensor is a float tensor, whatever its own type.  Together the rules
give a pair of QuantizeLinear and DequantizeLinear the gradients of LSQ (Esser et al. 2020,
https://arxiv.org/abs/1902.08153, eq. 3 and 5).  Zero points have none.
"""

from __future__ import annotations

from typing import Final

import onnx_ir as ir

from onnxpress.autodiff.rules.scales import spread, sum_to_scale
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor

_LEVELS: Final = 255  # of DynamicQuantizeLinear, between the least and the largest


@GRADIENTS("QuantizeLinear")
def _quantize(at: Site) -> Gradients:
    """``q = clip(round(v) + z)`` with ``v = x/s``: ``dx = dq/s``, ``ds = -dq v/s`` inside."""
    x = at.input(0)
    scale = spread(at, at.input(1).cast(x.dtype))
    steps = x / scale
    passed = at.gradient.cast(x.dtype) * _inside(at, steps) / scale
    return passed, sum_to_scale(at, -passed * steps) if at.needs(1) else None


@GRADIENTS("DequantizeLinear")
def _dequantize(at: Site) -> Gradients:
    """``y = (q - z) s``: ``dq = dy s``, ``ds = dy (q - z)``."""
    dy, scale = at.gradient, at.input(1)
    dq = dy * spread(at, scale.cast(dy.dtype)) if at.needs(0) else None
    if not at.needs(1):
        return dq, None
    return dq, sum_to_scale(at, dy * _steps(at).cast(dy.dtype))


def _steps(at: Site) -> Tensor:
    """Return ``q - z``, by the operator itself: a cast of ``q`` would carry no gradient."""
    made = at.op(
        "DequantizeLinear",
        at.input(0),
        at.op.filled(at.input(1), 1),
        at.x[2] if at.has(2) else None,
        axis=at.integer("axis", 1),
        block_size=at.integer("block_size") or None,
        output_dtype=at.integer("output_dtype") or None,
    )
    return at.op.typed(made.value, at.output().dtype, at.output().shape)


@GRADIENTS("DynamicQuantizeLinear")
def _dynamic(at: Site) -> Gradients:
    """``s = (max(x, 0) - min(x, 0)) / 255``, and then as QuantizeLinear, with nothing outside."""
    x, scale = at.input(0), at.output(1)
    dq, ds = at.dy[0], at.dy[1]
    passed = None if dq is None else dq.cast(x.dtype) / scale
    parts = [] if ds is None else [ds]
    if passed is not None:
        parts.append(-(passed * (x / scale)).sum(keepdims=False))
    if not parts:  # all that arrived is for the zero point
        return None
    by_scale = at.op.add(parts) / _LEVELS
    ends = _end(x, "Max") - _end(x, "Min")
    return ends * by_scale if passed is None else passed + ends * by_scale


def _end(x: Tensor, op_type: str) -> Tensor:
    """Return the slope of the largest (or least) of all elements and 0."""
    op = x.op
    extreme = op(op_type, op.reduce(f"Reduce{op_type}", x, None, keepdims=False), 0)
    chosen = x.equal(extreme).cast(x.dtype)
    return chosen / op("Max", chosen.sum(keepdims=False), 1)


def _inside(at: Site, steps: Tensor) -> Tensor:
    """Return 1 where a number of steps, moved by the zero point, is in the range of the type."""
    dtype = _quantized(at)
    low, high = float(dtype.min), float(dtype.max)
    if at.has(2):
        steps = steps + spread(at, at.input(2).cast(steps.dtype))
    return at.op("And", steps >= low, steps <= high).cast(steps.dtype)


def _quantized(at: Site) -> ir.DataType:
    """Return the element type of what is quantized: that of the zero point, or as asked for."""
    given = at.input(2).dtype if at.has(2) else None
    return given or ir.DataType(at.integer("output_dtype") or int(ir.DataType.UINT8))
