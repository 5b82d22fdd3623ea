"""Histograms: quantiles as numpy gives them, however values arrive."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.calibration import Range
from onnxpress.calibration.histogram import Histogram
from onnxpress.data.batch import Array

RNG = np.random.default_rng(0)
SAMPLES: dict[str, Array] = {
    "normal": RNG.standard_normal(50_000),
    "rectified": np.maximum(RNG.standard_normal(50_000), 0),
    "laplace": RNG.laplace(size=50_000) * 1e-6,
    "negative": -RNG.random(50_000) - 1,
    "with an outlier": np.append(RNG.standard_normal(50_000), 1e4),
    "huge": RNG.standard_normal(50_000) * 1e37,
    "constant": np.full(1000, 3.0),
}


def filled(values: Array, parts: int) -> Histogram:
    histogram = Histogram()
    for part in np.array_split(values.astype(np.float32), parts):
        histogram.add(part, Range(float(part.min()), float(part.max())))
    return histogram


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9995, 1.0])
@pytest.mark.parametrize("name", SAMPLES)
def test_quantiles_are_those_of_numpy_within_a_bin(name: str, share: float) -> None:
    values = SAMPLES[name].astype(np.float32)
    expected = float(np.quantile(values.astype(np.float64), share))
    # A bin is 1/128 of its values wide; the smallest are 2^-16 of the largest.
    smallest = float(np.abs(values).max()) * 2**-15
    assert filled(values, 7).quantile(share) == pytest.approx(expected, rel=1e-2, abs=smallest)


@pytest.mark.parametrize("name", SAMPLES)
def test_it_does_not_matter_how_values_are_cut_into_batches(name: str) -> None:
    one, many = filled(SAMPLES[name], 1), filled(SAMPLES[name], 40)
    np.testing.assert_array_equal(one.counts, many.counts)
    np.testing.assert_array_equal(one.edges, many.edges)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_value_lies_between_the_edges_of_its_bin(name: str) -> None:
    values = np.sort(SAMPLES[name].astype(np.float32))
    histogram = filled(values, 3)
    edges, counts = histogram.edges, histogram.counts
    assert counts.sum() == values.size
    ends = np.cumsum(counts)
    for place in np.flatnonzero(counts):
        inside = values[ends[place] - counts[place] : ends[place]]
        assert edges[place] <= inside[0] <= inside[-1] <= edges[place + 1]


def test_zeros_may_come_first() -> None:
    histogram = filled(np.concatenate([np.zeros(10), np.ones(10)]), 2)
    assert histogram.counts.sum() == 20
    assert histogram.quantile(0.4) == pytest.approx(0, abs=1e-4)
    assert histogram.quantile(1) == 1
