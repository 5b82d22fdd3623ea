"""Percentiles: what numpy says, in one pass where the first batch is like the others."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.calibration import Percentile, calibrate
from onnxpress.data.batch import Array
from onnxpress.errors import OptionError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from tests.core.calibration.data import Arrays
from tests.graphs import graph

RNG = np.random.default_rng(3)
MODEL: Model = graph("g (float[N] x) => (float[N] y) { y = Identity(x) }")
SIZE = 400_000


def found(values: Array, percentile: float, parts: int = 10) -> tuple[float, float, int]:
    data = Arrays(np.array_split(values.astype(np.float32), parts))
    span = calibrate(MODEL, ["x"], data, Percentile(percentile), Job())["x"]
    return span.low, span.high, data.passes


@pytest.mark.parametrize("percentile", [99.99, 99.9, 99.0, 95.0])
@pytest.mark.parametrize(
    "values", [RNG.standard_normal(SIZE), RNG.laplace(size=SIZE) * 40, RNG.uniform(-1, 3, SIZE)]
)
def test_half_of_the_rest_is_cut_off_at_either_end(values: Array, percentile: float) -> None:
    tail = (100 - percentile) / 200
    low, high, _ = found(values, percentile)
    assert low == pytest.approx(np.quantile(values, tail), rel=5e-3)
    assert high == pytest.approx(np.quantile(values, 1 - tail), rel=5e-3)


def test_an_end_on_this_side_of_zero_is_not_cut() -> None:
    rectified = np.maximum(RNG.standard_normal(SIZE), 0)
    low, high, _ = found(rectified, 99.0)
    assert low == 0
    assert high == pytest.approx(np.quantile(rectified, 0.995), rel=5e-3)
    low, high, _ = found(-rectified - 1, 99.0)
    assert high == -1
    assert low == pytest.approx(-1 - np.quantile(rectified, 0.995), rel=5e-3)


def test_a_few_values_beyond_zero_are_cut_down_to_zero() -> None:
    values = np.abs(RNG.standard_normal(SIZE)) + 0.5
    values[::20_000] = -7
    assert found(values, 99.0)[0] == 0


def test_everything_is_the_exact_range() -> None:
    values = RNG.standard_normal(SIZE).astype(np.float32)
    assert found(values, 100)[:2] == (values.min(), values.max())


@pytest.mark.parametrize("constant", [0.0, 3.0, -2.5])
def test_a_constant_is_its_own_range(constant: float) -> None:
    assert found(np.full(1000, constant), 99.9)[:2] == (constant, constant)


def test_one_pass_is_enough_for_batches_that_are_alike() -> None:
    assert found(RNG.standard_normal(SIZE), 99.99)[2] == 2  # and a look at the first batch


def test_a_first_batch_that_misleads_costs_a_second_pass_and_no_accuracy() -> None:
    wide = RNG.standard_normal(SIZE // 40) * 100
    values = np.concatenate([wide, RNG.standard_normal(SIZE * 5)])
    low, high, passes = found(values, 99.99, parts=201)
    assert high == pytest.approx(np.quantile(values, 0.99995), rel=5e-3)
    assert low == pytest.approx(np.quantile(values, 0.00005), rel=5e-3)
    assert passes == 3


@pytest.mark.parametrize("percentile", [0, 50, 100.1, -1])
def test_a_percentile_out_of_bounds_gets_the_bounds(percentile: float) -> None:
    with pytest.raises(OptionError, match="lies above 50, at most at 100"):
        Percentile(percentile)
