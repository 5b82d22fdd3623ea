"""The integers that stand for real numbers: scales and zero points.

Everything here follows the standard's QuantizeLinear,
``q = saturate(round(x / scale) + zero_point)`` with halves rounded to even.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

import numpy as np

from onnxpress.calibration import Range
from onnxpress.data.batch import Array

IntegerType: TypeAlias = Literal["uint8", "int8"]

WEIGHT_LIMIT: Final = 127
"""Weights use -127 … 127, so that a weight and its negative are both exact."""

_TINY: Final = float(np.finfo(np.float32).tiny)
_WEIGHT_TINY: Final = 1e-30  # below it, the product of two scales would no longer be a float32
_ROUNDING: Final = 1 + 1e-5
_BIAS_LIMIT: Final = 2**31 - 1


@final
@dataclass(frozen=True, slots=True)
class Grid:
    """The real numbers ``(q - zero_point) · scale`` for all integers q of a type.

    Attributes:
        scale: The step between neighbours, a float32 number above zero.
        zero_point: The integer that stands for exactly 0.
        dtype: The integer type.
    """

    scale: float
    zero_point: int
    dtype: IntegerType

    @property
    def span(self) -> Range:
        """The smallest and the largest real number on the grid."""
        info = np.iinfo(self.dtype)
        low, high = info.min - self.zero_point, info.max - self.zero_point
        return Range(float(np.float32(low * self.scale)), float(np.float32(high * self.scale)))

    def quantize(self, values: Array) -> Array:
        """Return the integers nearest to `values`, of the grid's type."""
        info = np.iinfo(self.dtype)
        places = np.rint(values / np.float32(self.scale)) + self.zero_point
        integers: Array = np.clip(places, info.min, info.max).astype(self.dtype)
        return integers


def covering(span: Range, dtype: IntegerType, bounds: Range | None = None) -> Grid:
    """Return the finest grid that covers a range and has 0 on it.

    Args:
        span: The range; it is widened to hold 0.
        dtype: The integer type.
        bounds: What values are clipped to before they are quantized.  The grid stays
            inside, so that quantizing clips by itself and runtimes drop the clipping;
            about one step of the range is lost at most.
    """
    low, high = min(span.low, 0.0), max(span.high, 0.0)
    info = np.iinfo(dtype)
    scale = (high - low) / (info.max - info.min)
    scale = scale if scale >= _TINY else 1.0  # always 0: any grid is exact
    zero_point = int(np.rint(info.min - low / scale))
    if bounds is not None:
        if (zero_point - info.min) * scale > -bounds.low * _ROUNDING:
            zero_point -= 1  # was rounded up
        scale = _inside(scale, zero_point - info.min, -bounds.low)
        scale = _inside(scale, info.max - zero_point, bounds.high)
    return Grid(float(np.float32(scale)), zero_point, dtype)


def _inside(scale: float, steps: int, reach: float) -> float:
    """Shrink a scale until that many steps, in float32, do not go beyond `reach`."""
    if steps * scale <= reach and np.float32(steps) * np.float32(scale) <= np.float32(reach):
        return scale
    found = np.float32(reach / steps)
    while np.float32(steps) * found > np.float32(reach):
        found = np.nextafter(found, np.float32(0))
    return float(found)


def weight_scales(weight: Array, axis: int | None) -> Array:
    """Return symmetric scales, ``max|w| / 127``, as float32.

    Channels that are zero throughout get the largest scale of the others (1 if there
    are none): any scale is exact for them.

    Args:
        weight: The weight, float.
        axis: The axis that counts channels, for one scale each; None for one in all.

    Returns:
        An array of shape (channels), or () if `axis` is None.
    """
    others = None if axis is None else tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.maximum(weight.max(axis=others), -weight.min(axis=others)).astype(np.float64)
    largest = np.where(largest < _WEIGHT_TINY, 0, largest)
    spare = largest.max() or float(WEIGHT_LIMIT)
    return np.asarray(np.where(largest > 0, largest, spare) / WEIGHT_LIMIT, np.float32)


def quantize_weight(weight: Array, scales: Array, axis: int | None) -> Array:
    """Return int8 weights in -127 … 127, ``round(w / scale)``."""
    if axis is not None:
        scales = scales.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
    places = np.rint(weight / scales)
    return np.clip(places, -WEIGHT_LIMIT, WEIGHT_LIMIT, out=places).astype(np.int8)


def widened_for_bias(scales: Array, bias: Array, input_scale: float) -> Array:
    """Return weight scales at which every bias fits int32 in steps of its accumulator.

    A bias is stored as ``round(b / (input_scale · weight_scale))``.  Where that would
    overflow, weights are tiny beside the bias, and coarser ones change nothing.
    """
    needed = np.abs(bias.astype(np.float64)) / (float(input_scale) * _BIAS_LIMIT)
    # One float32 step up: the quotient must not be rounded above the limit.
    wider = np.nextafter(needed.astype(np.float32), np.float32(np.inf))
    needed32 = wider if scales.ndim else wider.max(initial=0)
    return np.asarray(np.maximum(scales, needed32), np.float32)


def quantize_bias(bias: Array, input_scale: float, scales: Array) -> tuple[Array, Array]:
    """Return the bias as int32 and its float32 scales, ``input_scale · weight_scale``."""
    steps = np.asarray(np.float32(input_scale) * scales, np.float32)
    places = np.rint(bias.astype(np.float64) / steps)
    return np.clip(places, -_BIAS_LIMIT, _BIAS_LIMIT).astype(np.int32), steps
