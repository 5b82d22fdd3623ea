"""Scales and zero points: the numbers that others expect, and the laws of exactness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnxruntime.quantization.quant_utils import compute_scale_zp

from onnxpress.calibration import Range
from onnxpress_quantization.grid import (
    IntegerType,
    covering,
    quantize_bias,
    quantize_weight,
    weight_scales,
    widened_for_bias,
)

RNG = np.random.default_rng(5)
TYPES: tuple[IntegerType, ...] = ("uint8", "int8")


# What other systems expect: numbers as in FACTS.md.


@pytest.mark.parametrize(
    ("low", "high", "per_unit", "zero_point"),
    [(-2, 10, 21.25, 42), (5, 10, 25.5, 0), (-10, -5, 25.5, 255), (0, 0, 1, 0), (-10, 5, 17, 170)],
)
def test_asymmetric_unsigned(low: float, high: float, per_unit: float, zero_point: int) -> None:
    grid = covering(Range(low, high), "uint8")  # 65: Distiller, whose scale is one over ours
    assert 1 / grid.scale == pytest.approx(per_unit)
    assert grid.zero_point == zero_point


@pytest.mark.parametrize(("high", "scale"), [(1, 1 / 255), (255, 1)])
def test_asymmetric_signed(high: float, scale: float) -> None:
    grid = covering(Range(0, high), "int8")
    assert grid.scale == pytest.approx(scale)  # 41: TensorFlow
    assert grid.zero_point == -128


def test_weights_use_a_range_that_is_its_own_mirror() -> None:
    integers = quantize_weight(np.array([-1.0, 0, 0.5, 1]), np.array(1 / 127), None)
    assert integers.tolist() == [-127, 0, 64, 127]  # 67: restricted, -127 … 127


@pytest.mark.parametrize("dtype", TYPES)
def test_scales_and_zero_points_are_those_of_onnx_runtime(dtype: IntegerType) -> None:
    info = np.iinfo(dtype)
    for low, high in np.sort(RNG.normal(scale=10, size=(500, 2)), axis=1).astype(np.float32):
        expected: Any = compute_scale_zp(
            low, high, np.array(info.min, dtype), np.array(info.max, dtype)
        )
        grid = covering(Range(float(low), float(high)), dtype)
        assert grid.scale == pytest.approx(float(expected[1]), rel=1e-6)
        # Halves may fall to either side: onnxruntime divides float32, this float64.
        assert abs(grid.zero_point - int(expected[0])) <= (np.rint(-low / grid.scale) % 1 == 0)


# Laws.


@pytest.mark.parametrize("dtype", TYPES)
def test_zero_is_exact_and_the_range_is_covered_but_for_half_a_step(dtype: IntegerType) -> None:
    for low, high in np.sort(RNG.normal(scale=10, size=(500, 2)), axis=1):
        grid = covering(Range(low, high), dtype)
        info = np.iinfo(dtype)
        assert info.min <= grid.zero_point <= info.max
        assert grid.quantize(np.zeros(1, np.float32)) == grid.zero_point
        assert grid.span.low <= min(low, 0) + grid.scale * 0.51
        assert grid.span.high >= max(high, 0) - grid.scale * 0.51


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    "bounds", [(0.0, np.inf), (0.0, 6.0), (-1.0, 1.0), (-3.0, 0.0), (-0.375, 7)]
)
def test_a_grid_stays_inside_of_what_is_clipped(
    bounds: tuple[float, float], dtype: IntegerType
) -> None:
    limits = Range(*bounds)
    for low, high in np.sort(RNG.normal(scale=5, size=(500, 2)), axis=1):
        seen = Range(*np.clip([low, high], *bounds).tolist())
        grid = covering(seen, dtype, limits)
        assert limits.low <= grid.span.low
        assert grid.span.high <= limits.high
        assert grid.span.low <= min(seen.low, 0) + grid.scale * 1.1
        assert grid.span.high >= max(seen.high, 0) - grid.scale * 1.1


@pytest.mark.parametrize("span", [(0, 0), (1e-45, 1e-45), (-1e30, 1e30), (-3e38, 3e38), (7, 7)])
def test_extreme_ranges_give_usable_grids(span: tuple[float, float]) -> None:
    grid = covering(Range(*span), "uint8")
    assert 0 < np.float32(grid.scale) < np.inf
    back = (int(grid.quantize(np.array(span[1], np.float32))) - grid.zero_point) * grid.scale
    assert back == pytest.approx(span[1], rel=0.01, abs=1e-30)


def test_every_channel_has_its_own_scale() -> None:
    weight = np.array([[[1.0, -2]], [[0.5, 0.25]]], np.float32)
    np.testing.assert_array_equal(weight_scales(weight, 0), np.array([2, 0.5], np.float32) / 127)
    np.testing.assert_array_equal(weight_scales(weight, 2), np.array([1, 2], np.float32) / 127)
    assert weight_scales(weight, None) == np.float32(2 / 127)


def test_channels_of_zeros_take_the_largest_scale_of_the_others() -> None:
    weight = np.array([[0.0, 0], [1, -3], [1e-40, 0]], np.float32)
    scales = weight_scales(weight, 0)
    np.testing.assert_array_equal(scales, np.array([3, 3, 3], np.float32) / 127)
    assert not quantize_weight(weight, scales, 0)[[0, 2]].any()
    assert weight_scales(np.zeros((2, 2), np.float32), 0).tolist() == [1, 1]


def test_a_bias_is_exact_to_half_a_step_of_the_accumulator() -> None:
    bias = RNG.normal(size=100).astype(np.float32)
    scales = RNG.uniform(1e-4, 1e-2, size=100).astype(np.float32)
    integers, steps = quantize_bias(bias, 0.02, scales)
    assert integers.dtype == np.int32
    assert steps.dtype == np.float32
    assert (np.abs(integers * steps.astype(np.float64) - bias) <= steps * 0.5001).all()


@pytest.mark.parametrize("per_channel", [True, False])
def test_scales_are_widened_until_every_bias_fits_int32(per_channel: bool) -> None:  # noqa: FBT001
    bias = np.array([1e6, -1e-3, -2e9, 0], np.float32)
    scales = np.full(4, 1e-9, np.float32) if per_channel else np.float32(1e-9)
    wider = widened_for_bias(np.asarray(scales), bias, 1e-3)
    integers, steps = quantize_bias(bias, 1e-3, wider)
    np.testing.assert_allclose(integers * steps.astype(np.float64), bias, rtol=1e-6, atol=1)
    assert (wider >= scales).all()
    if per_channel:
        assert wider[1] == wider[3] == np.float32(1e-9)
