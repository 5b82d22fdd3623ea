from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from onnxpress.data import mixing
from onnxpress.data.batch import Batch
from onnxpress.data.mixing import mix_batches, mix_samples
from onnxpress.errors import DataError


def numbered(*sizes: int) -> Iterator[Batch]:
    """Make batches whose samples are numbered from 0."""
    start = 0
    for size in sizes:
        rows = np.arange(start, start + size)
        yield Batch({"x": rows[:, None].astype(np.float32)}, rows)
        start += size


def joined(batches: list[list[int]]) -> list[int]:
    return [number for batch in batches for number in batch]


def mixed(sizes: list[int], size: int, buffer: int | None, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    batches = list(mix_samples(numbered(*sizes), size, buffer, rng, "stream"))
    for batch in batches:
        assert batch.labels is not None
        np.testing.assert_array_equal(batch.feeds["x"][:, 0], batch.labels)
    return [[int(i) for i in b.labels] for b in batches if b.labels is not None]


@pytest.mark.parametrize("sizes", [[10] * 10, [7] * 14 + [2], [100], [1] * 100, [33, 67]])
@pytest.mark.parametrize("buffer", [1, 20, 99, 1000, None])
def test_all_samples_come_once_in_batches_of_the_size_wanted(
    sizes: list[int], buffer: int | None
) -> None:
    batches = mixed(sizes, 16, buffer)
    assert [len(batch) for batch in batches] == [16] * 6 + [4]
    assert sorted(joined(batches)) == list(range(100))


def test_a_sample_comes_no_earlier_than_the_buffer_allows() -> None:
    order = joined(mixed([10] * 30, 10, 50))
    assert all(sample < place // 10 * 10 + 10 + 50 for place, sample in enumerate(order))
    assert np.mean(np.abs(np.arange(300) - order)) > 20  # and it is well mixed within


def test_a_buffer_for_everything_gives_a_whole_permutation() -> None:
    order = np.array(joined(mixed([10] * 30, 10, None)))
    assert abs(np.corrcoef(np.arange(300), order)[0, 1]) < 0.2


def test_the_order_is_that_of_the_seed() -> None:
    assert mixed([10] * 10, 16, 40) == mixed([10] * 10, 16, 40)
    assert mixed([10] * 10, 16, 40) != mixed([10] * 10, 16, 40, seed=1)
    assert mixed([10] * 10, 16, 40) == mixed([25] * 4, 16, 40)  # whatever its batches were


def test_no_more_is_read_than_the_buffer_and_a_batch() -> None:
    read = 0

    def counted() -> Iterator[Batch]:
        nonlocal read
        for batch in numbered(*[10] * 100):
            read += batch.size
            yield batch

    batches = mix_samples(counted(), 10, 50, np.random.default_rng(0), "stream")
    next(batches)
    assert read <= 50 + 2 * 10


def test_what_the_buffer_takes_by_itself_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixing, "BUFFER_BYTES", 40 * (4 + 8))  # a float32 and an int64 label
    assert mixed([10] * 10, 10, None) == mixed([10] * 10, 10, 40)


def test_batches_that_were_given_are_not_changed() -> None:
    source = list(numbered(*[10] * 10))
    list(mix_samples(source, 10, 20, np.random.default_rng(0), "stream"))
    for batch, fresh in zip(source, numbered(*[10] * 10), strict=True):
        np.testing.assert_array_equal(batch.feeds["x"], fresh.feeds["x"])


def test_samples_of_different_shapes_are_refused() -> None:
    batches = [Batch({"ids": np.zeros((2, 5))}), Batch({"ids": np.zeros((2, 9))})]
    with pytest.raises(DataError, match=r"texts, batch 1: samples of 'ids' have the shape \(9,\)"):
        list(mix_samples(batches, 2, None, np.random.default_rng(0), "texts"))


def test_whole_batches_only_change_places() -> None:
    sizes = list(range(1, 40))

    def order(buffer: int | None, seed: int = 0) -> list[int]:
        mixed = mix_batches(numbered(*sizes), buffer, np.random.default_rng(seed))
        return [batch.size for batch in mixed]

    for buffer in (1, 100, None):
        assert sorted(order(buffer)) == sizes
        assert order(buffer) == order(buffer)
    assert order(None) != order(None, seed=1)
    assert order(1) != sizes  # even two are shuffled
    assert list(mix_batches([], 10, np.random.default_rng(0))) == []
