from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.data.batch import Data
from onnxpress.data.opening import open_data
from onnxpress.errors import DataError, OptionError
from onnxpress.graph.model import Model
from tests.core.data.models import images, taking

X = np.arange(200, dtype=np.float32).reshape(50, 4)
Y = np.arange(50)
MODEL = taking("float[N, 4] x")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    np.savez_compressed(tmp_path / "c.npz", x=X, y=Y)
    return tmp_path


def rows(data: Data) -> list[int]:
    return [int(i) for batch in data for i in batch.feeds["x"][:, 0] // 4]


def sizes(data: Data) -> list[int]:
    return [batch.size for batch in data]


@pytest.mark.parametrize("file", ["a.npz", "c.npz"])
def test_every_row_comes_once_in_order_with_its_label(folder: Path, file: str) -> None:
    data = open_data(file, MODEL)
    assert rows(data) == rows(data) == list(range(50))
    assert [int(i) for b in data for i in b.labels if b.labels is not None] == list(range(50))  # type: ignore[union-attr]
    assert sizes(data) == [32, 18]
    assert (data.samples, data.labelled) == (50, True)


@pytest.mark.parametrize("file", ["a.npz", "c.npz"])
def test_limit_and_offset_take_a_range(folder: Path, file: str) -> None:
    assert rows(open_data(f"{file}?limit=5", MODEL)) == [0, 1, 2, 3, 4]
    assert rows(open_data(f"{file}?offset=47", MODEL)) == [47, 48, 49]
    data = open_data(f"{file}?offset=10&limit=4&batch=3", MODEL)
    assert (rows(data), sizes(data), data.samples) == ([10, 11, 12, 13], [3, 1], 4)


@pytest.mark.parametrize("file", ["a.npz", "c.npz"])
def test_shuffled_ranges_are_fixed_by_the_seed_and_share_nothing(folder: Path, file: str) -> None:
    first = rows(open_data(f"{file}?shuffle=3&limit=30", MODEL))
    rest = rows(open_data(f"{file}?shuffle=3&offset=30", MODEL))
    assert sorted(first + rest) == list(range(50))
    assert first == rows(open_data(f"{file}?shuffle=3&limit=30", MODEL))
    assert first != rows(open_data(f"{file}?shuffle=4&limit=30", MODEL))
    labelled = open_data(f"{file}?shuffle=3&limit=30", MODEL)
    assert [int(i) for b in labelled for i in (b.labels if b.labels is not None else [])] == first


def test_a_fixed_batch_is_kept_and_the_rest_left_out(folder: Path) -> None:
    data = open_data("a.npz", taking("float[4, 4] x"))
    assert sizes(data) == [4] * 12
    assert data.samples == 48
    assert "the last 2 samples are left out: the model takes 4 at once" in data.notes
    assert sizes(open_data("a.npz?limit=3", taking("float[1, 4] x"))) == [1, 1, 1]


def test_a_fixed_batch_is_an_error_where_it_can_not_be(folder: Path) -> None:
    with pytest.raises(
        OptionError, match=r"4 at once, because dimension 0 of input 'x' is 4;.* --dynamic-batch"
    ):
        open_data("a.npz?batch=8", taking("float[4, 4] x"))
    with pytest.raises(
        DataError, match=r"has 50 samples, and the model takes 64 at once; .* --dynamic-batch"
    ):
        open_data("a.npz", taking("float[64, 4] x"))


def test_a_model_without_batch_axis_is_fed_run_by_run(tmp_path: Path) -> None:
    model = taking("float[N, T] x", "float[2, N, 8] state", "int64 sr")
    runs = {
        "x": np.zeros((3, 1, 16), np.float32),
        "state": np.zeros((3, 2, 1, 8), np.float32),
        "sr": np.full(3, 16000),
    }
    data = open_data(runs, model)
    shapes = [{name: a.shape for name, a in batch.feeds.items()} for batch in data]
    assert shapes == [{"x": (1, 16), "state": (2, 1, 8), "sr": ()}] * 3
    assert data.samples == 3
    model.run(next(iter(data)).feeds)


BROKEN: list[tuple[dict[str, Any], Model, str]] = [
    ({"x": X[:0]}, MODEL, "array 'x' is empty"),
    ({"x": X, "y": Y[:7]}, MODEL, "array 'y' does not fit: 7 labels for 50 samples"),
    ({"x": np.float32(3)}, MODEL, "array 'x' has no axis that counts samples"),
    ({"x": X[:, :3]}, MODEL, "array 'x' .*axis 1 is 3 where 4 is wanted"),
    ({"x": X.astype(complex)}, MODEL, "which array feeds 'x'|array 'x' is complex128"),
    ({"x": X.astype(np.float64)}, MODEL, "array 'x' .* is float64, and input 'x' takes float32"),
    ({"x": X}, taking("int64[N, 4] x"), "array 'x' .* is float32, and input 'x' takes int64"),
    (
        {"ids": X, "mask": X[:9]},
        taking("float[N, 4] ids", "float[N, 4] mask"),
        "differ in their number of samples: 'ids' has 50, 'mask' has 9",
    ),
]


@pytest.mark.parametrize(("arrays", "model", "message"), BROKEN)
def test_what_does_not_fit_is_found_before_anything_runs(
    folder: Path, arrays: dict[str, Any], model: Model, message: str
) -> None:
    np.savez("broken.npz", **arrays)
    with pytest.raises(DataError, match=rf"broken\.npz.*({message})"):
        open_data("broken.npz", model)


def test_nan_is_found_in_its_batch(folder: Path) -> None:
    bad = X.copy()
    bad[37, 2] = np.nan
    np.savez("bad.npz", x=bad)
    data = open_data("bad.npz", MODEL)
    with pytest.raises(DataError, match=r"bad\.npz, batch 1: array 'x' is NaN at \[5, 2\]"):
        list(data)


def test_an_offset_beyond_the_end_is_said(folder: Path) -> None:
    with pytest.raises(OptionError, match=r"offset=50: a\.npz\?offset=50 has only 50 samples"):
        open_data("a.npz?offset=50", MODEL)


def test_a_float_copy_of_the_whole_set_is_never_made(folder: Path) -> None:
    """The pixels stay mapped; what a pass adds is a few batches."""
    import tracemalloc

    np.savez("big.npz", x=np.zeros((4000, 32, 32, 3), np.uint8))
    data = open_data("big.npz?scale=1/255&layout=nchw", images(32))
    tracemalloc.start()
    assert sum(batch.size for batch in data) == 4000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * 32 * 32 * 32 * 3 * 4
