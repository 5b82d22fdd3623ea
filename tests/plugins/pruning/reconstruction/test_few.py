"""Batches spread evenly over the data."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.data.batch import Data
from onnxpress.data.opening import open_data
from onnxpress.job import Job
from onnxpress.testing.models import model_from_text
from onnxpress_pruning.reconstruction.few import Few, with_few
from tests.graphs import normal

MODEL = model_from_text(
    "g (float[N, 1] x) => (float[N, 1] y) { y = MatMul (x, w) }", w=normal(1, 1)
)
NUMBERS = np.arange(100, dtype=np.float32)[:, None]


def _data(batch: int) -> Data:
    return open_data({"input": NUMBERS, "batch": batch}, MODEL)


def _numbers(data: Data) -> list[int]:
    return [int(x) for batch in data for x in batch.feeds["x"].ravel()]


@pytest.mark.parametrize(
    ("batch", "samples", "firsts"),
    [
        (10, 30, [0, 40, 70]),
        (10, 5, [0]),
        (10, 50, [0, 20, 40, 60, 80]),
        (25, 50, [0, 50]),
        (10, 1000, list(range(0, 100, 10))),
    ],
)
def test_batches_are_spread(batch: int, samples: int, firsts: list[int]) -> None:
    few = Few(_data(batch), samples)
    assert [int(b.feeds["x"][0, 0]) for b in few] == firsts
    assert _numbers(few) == _numbers(few)


def test_a_stream_gives_its_first() -> None:
    stream = open_data([NUMBERS[i : i + 10] for i in range(0, 100, 10)], MODEL)
    assert _numbers(Few(stream, 20)) == list(range(20))


def test_the_job_hears_what_is_told_to_its_part() -> None:
    job = Job(data=_data(10))
    with_few(job, 20).decline("a layer", "a reason")
    assert [d.subject for d in job.declined] == ["a layer"]
    assert with_few(Job(), 20).data is None
