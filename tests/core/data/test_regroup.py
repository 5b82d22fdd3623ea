from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest

from onnxpress.data.batch import Batch
from onnxpress.data.regroup import rebatch, window


def batches(sizes: Sequence[int]) -> Iterator[Batch]:
    start = 0
    for size in sizes:
        numbers = np.arange(start, start + size)
        yield Batch({"x": numbers[:, None]}, numbers)
        start += size


def numbers(found: Iterable[Batch]) -> list[list[int]]:
    listed = list(found)
    assert all((b.labels == b.feeds["x"][:, 0]).all() for b in listed if b.labels is not None)
    return [b.feeds["x"][:, 0].tolist() for b in listed]


@pytest.mark.parametrize("sizes", [[7], [1] * 7, [2, 5], [5, 2], [3, 3, 1]])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 10])
def test_rebatch_keeps_samples_and_order(sizes: list[int], size: int) -> None:
    expected = [list(range(i, min(i + size, 7))) for i in range(0, 7, size)]
    assert numbers(rebatch(batches(sizes), size)) == expected


@pytest.mark.parametrize("sizes", [[7], [1] * 7, [2, 5], [3, 3, 1]])
@pytest.mark.parametrize(("start", "stop"), [(0, 7), (0, 3), (2, 6), (3, 4), (5, 99), (9, 12)])
def test_window_keeps_what_lies_in_it(sizes: list[int], start: int, stop: int) -> None:
    kept = [n for batch in numbers(window(batches(sizes), start, stop)) for n in batch]
    assert kept == list(range(7))[start:stop]


def test_window_asks_for_nothing_after_it() -> None:
    source = batches([2, 2, 2])
    assert numbers(window(source, 0, 2)) == [[0, 1]]
    assert numbers(source) == [[2, 3], [4, 5]]
