"""Mean and variance of channels: the same as of all data at once, however it is cut."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.calibration.moments import measure_moments, output_means
from onnxpress.data.batch import Array
from onnxpress.errors import DataError, ModelError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from tests.core.calibration.data import Arrays
from tests.graphs import graph, normal


@pytest.fixture
def model() -> Model:
    return graph("g (float[N,3,H] x) => (float[N,3,H] y) { y = Abs(x) }")


def batches(*sizes: int) -> list[Array]:
    return [2 * normal(size, 3, 5, seed=size) + 7 for size in sizes]


@pytest.mark.parametrize("axis", [0, 1, -1, 2, -2])
def test_short_batches_weigh_what_they_hold(model: Model, axis: int) -> None:
    sizes = (4, 4) if axis == 0 else (4, 4, 1)  # on the first axis, channels are samples
    arrays = batches(*sizes)
    whole = np.abs(np.concatenate(arrays, 2 if axis == 0 else 0)).astype(np.float64)
    over = tuple(i for i in range(3) if i != axis % 3)
    found = measure_moments(model, {"y": axis}, Arrays(arrays), Job())["y"]
    np.testing.assert_allclose(found.mean, whole.mean(over), rtol=1e-6)
    np.testing.assert_allclose(found.variance, whole.var(over), rtol=1e-5)
    assert found.count * len(found.mean) == whole.size


def test_a_mean_far_from_zero_does_not_swallow_the_variance(model: Model) -> None:
    arrays = [normal(64, 3, 5, seed=s) + 4096 for s in range(3)]
    whole = np.concatenate(arrays).astype(np.float64)
    found = measure_moments(model, {"y": 1}, Arrays(arrays), Job())["y"]
    np.testing.assert_allclose(found.variance, whole.var((0, 2)), rtol=1e-4)


def test_batches_of_other_sizes_give_the_same(model: Model) -> None:
    whole = np.concatenate(batches(4, 4, 3))
    one = measure_moments(model, {"x": 1}, Arrays([whole]), Job())["x"]
    many = measure_moments(model, {"x": 1}, Arrays(list(whole[:, None])), Job())["x"]
    np.testing.assert_allclose(one.mean, many.mean, rtol=1e-6)
    np.testing.assert_allclose(one.variance, many.variance, rtol=1e-5)


def test_half_precision_is_reduced_in_float32() -> None:
    model = graph("g (float16[N,2] x) => (float16[N,2] y) { y = Neg(x) }")
    array = (100 * normal(64, 2)).astype(np.float16)  # squares sum to more than float16 holds
    mean = output_means(model, Arrays([array]), {"y": 1}, Job())["y"]
    np.testing.assert_allclose(mean, -array.astype(np.float64).mean(0), rtol=1e-5)


def test_what_the_tensors_do_not_need_is_not_run() -> None:
    model = graph(
        "g (float[N,2] x) => (float[A] z) {"
        " y = Neg(x) w = Constant<value_ints=[7]>() z = Reshape(y, w) }"  # 10 do not fit
    )
    assert output_means(model, Arrays([normal(5, 2)]), {"y": 1}, Job())["y"].shape == (2,)


def test_no_data_and_no_tensors(model: Model) -> None:
    assert measure_moments(model, {}, Arrays([]), Job()) == {}
    with pytest.raises(DataError, match="nothing to calibrate on: arrays"):
        measure_moments(model, {"y": 1}, Arrays([]), Job())


def test_values_that_are_no_numbers_name_tensor_and_batch(model: Model) -> None:
    arrays = batches(2, 2)
    arrays[1] = arrays[1].copy()
    arrays[1][0, 0, 0] = np.nan
    with pytest.raises(DataError, match="'y', batch 2"):
        measure_moments(model, {"y": 1}, Arrays(arrays), Job())


def test_an_inner_axis_of_a_tensor_of_unknown_rank_is_an_error() -> None:
    model = graph(
        "g (float[N,3,4] x, int64[R] s) => (float[N] z) {"
        " y = Reshape(x, s) a = Constant<value_ints=[-1]>() z = Reshape(y, a) }"
    )
    with pytest.raises(ModelError, match="rank of 'y"):
        measure_moments(model, {"y": 2}, Arrays([normal(1, 3, 4)]), Job())
