"""Watching tensors: every batch, every size, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from onnxpress.calibration import Activations, MinMax, Range, calibrate
from onnxpress.data.batch import Array
from onnxpress.errors import DataError, UnknownNameError
from onnxpress.events import Event, Progress
from onnxpress.graph.model import Model
from onnxpress.job import Job
from tests.core.calibration.data import Arrays
from tests.graphs import graph, normal


@pytest.fixture
def model() -> Model:
    return graph(
        """g (float[N,M] x) => (float[N,M] y) {
            a = Relu(x)
            b = Neg(a)
            y = Exp(b)
        }"""
    )


def batches(*sizes: int) -> list[Array]:
    return [normal(size, 5, seed=size) for size in sizes]


def expected(values: Array) -> Range:
    return Range(float(values.min()), float(values.max()))


# One path hands arrays out, the other reduces them inside the graph.
ROOMY, TIGHT = 1 << 20, 1


@pytest.mark.parametrize("budget", [ROOMY, TIGHT])
def test_the_range_covers_all_batches_even_a_smaller_last_one(
    model: Model, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxpress.calibration.activations._WORTH_REDUCING", 0)
    data = Arrays(batches(4, 4, 3))
    every = np.concatenate(batches(4, 4, 3))
    found = MinMax().ranges(Activations(model, ["x", "a", "b"], data, Job(), budget))
    a = np.maximum(every, 0)
    assert found == {"x": expected(every), "a": expected(a), "b": expected(-a)}


@pytest.mark.parametrize("budget", [ROOMY, TIGHT])
def test_every_axis_may_change_from_batch_to_batch(
    model: Model, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxpress.calibration.activations._WORTH_REDUCING", 0)
    arrays = [normal(2, 3), 9 * normal(5, 7), normal(1, 1)]
    found = MinMax().ranges(Activations(model, ["x"], Arrays(arrays), Job(), budget))
    assert found["x"] == expected(np.concatenate([a.reshape(-1) for a in arrays]))


def test_values_come_flat_and_in_order(model: Model) -> None:
    arrays = batches(4, 3)
    seen = list(Activations(model, ["x", "b"], Arrays(arrays), Job()).values())
    assert [name for name, _, _ in seen] == ["x", "b", "x", "b"]
    np.testing.assert_array_equal(seen[2].array, arrays[1].reshape(-1))
    assert seen[2].span == expected(arrays[1])


def test_tensors_beyond_the_budget_are_watched_in_further_passes(model: Model) -> None:
    data = Arrays(batches(4, 4))
    whole = Activations(model, ["x", "a", "b"], Arrays(batches(4, 4)), Job())
    split = Activations(model, ["x", "a", "b"], data, Job(), budget=1)
    before = data.passes
    assert sorted(str(v) for v in split.values()) == sorted(str(v) for v in whole.values())
    assert data.passes - before >= 3


@pytest.mark.parametrize("budget", [ROOMY, TIGHT])
@pytest.mark.parametrize(
    ("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")]
)
def test_values_that_are_no_numbers_name_tensor_and_batch(
    value: float, kind: str, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxpress.calibration.activations._WORTH_REDUCING", 0)
    model = graph("g (float[N,M] x) => (float[N,M] y) { y = Identity(x) }")
    arrays = [normal(8, 64), normal(8, 64, seed=1)]
    for place in range(0, 512, 37):  # ReduceMin overlooks NaN in some places
        arrays[1] = normal(8, 64, seed=1)
        arrays[1].flat[place] = value
        activations = Activations(model, ["y"], Arrays(arrays), Job(), budget)
        with pytest.raises(DataError, match=f"'y' holds {kind}.* in batch 2 "):
            list(activations.spans())


def test_a_sum_that_overflows_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxpress.calibration.activations._WORTH_REDUCING", 0)
    model = graph("g (float[N] x) => (float[N] y) { y = Identity(x) }")
    data = Arrays([np.full(100, 3e38, np.float32)])
    found = MinMax().ranges(Activations(model, ["x", "y"], data, Job(), TIGHT))
    assert found["y"].high == pytest.approx(3e38)


def test_only_tensors_of_the_main_graph_are_watched() -> None:
    model = graph(
        """g (float[N] x, bool c) => (float[N] y) {
            y = If(c) <
                then_branch = t () => (float[N] a) { a = Relu(x) },
                else_branch = e () => (float[N] b) { b = Neg(x) }
            >
        }"""
    )
    assert Activations(model, ["a", "y", "nothing", "y"], Arrays([]), Job()).names == ("y",)


@pytest.mark.parametrize("budget", [ROOMY, TIGHT])
def test_tensors_that_stay_empty_have_no_range(
    budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxpress.calibration.activations._WORTH_REDUCING", 0)
    model = graph(
        """g (float[N,M] x) => (float[N,M] y, float[E,M] z) {
            start = Constant<value_ints = [0]>()
            z = Slice(x, start, start)
            y = Neg(x)
        }"""
    )
    activations = Activations(model, ["y", "z"], Arrays(batches(2)), Job(), budget)
    assert set(MinMax().ranges(activations)) == {"y"}


def test_half_precision_is_watched_as_float32() -> None:
    model = graph("g (float16[N] x) => (float16[N] y) { y = Neg(x) }")
    data = Arrays([np.array([1.5, -2.25], np.float16)])
    assert calibrate(model, ["y"], data, "min-max", Job()) == {"y": Range(-1.5, 2.25)}


def test_no_data_is_an_error_and_no_tensors_are_not(model: Model) -> None:
    with pytest.raises(DataError, match="nothing to calibrate on: arrays"):
        calibrate(model, ["y"], Arrays([]), "min-max", Job())
    assert calibrate(model, [], Arrays([]), "min-max", Job()) == {}


def test_an_unknown_method_gets_the_nearest_name(model: Model) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'min-max'"):
        calibrate(model, ["y"], Arrays([]), "minmax", Job())


def test_progress_is_told(model: Model) -> None:
    told: list[Event] = []
    calibrate(model, ["y"], Arrays(batches(2, 2)), "min-max", Job(notify=told.append))
    assert told[-1] == Progress("calibrating", 2, None)


def test_memory_does_not_grow_with_the_number_of_batches(model: Model) -> None:
    def peak(count: int) -> int:
        arrays = [normal(64, 256)] * count  # the same bytes again and again
        tracemalloc.start()
        for method in ("min-max", "percentile"):
            calibrate(model, ["x", "a", "b", "y"], Arrays(arrays), method, Job())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)  # imports
    assert peak(64) < peak(4) * 1.1 + 100_000
