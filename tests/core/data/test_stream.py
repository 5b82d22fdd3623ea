from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from onnxpress.data.batch import Array, Data
from onnxpress.data.opening import open_data
from onnxpress.errors import DataError, OptionError, UsageError
from onnxpress.graph.model import Model
from tests.core.data.models import images, taking

X = np.arange(40, dtype=np.float32).reshape(10, 4)
Y = np.arange(10)
MODEL = taking("float[N, 4] x")
TWO = taking("int64[N, T] ids", "int64[N, T] mask")
IDS = np.ones((2, 5), np.int64)


class Tensor:
    """What torch's tensors are to us: numpy is reached only by detaching."""

    def __init__(self, array: Array, *, detached: bool = False) -> None:
        self.array, self.detached = array, detached

    def detach(self) -> Tensor:
        return Tensor(self.array, detached=True)

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Array:
        assert self.detached, "numpy() of a tensor that needs gradients"
        return self.array


class Loader:
    """What torch's DataLoader is to us."""

    def __init__(self, batch: int, sampler: object = None) -> None:
        self.batch, self.sampler = batch, sampler

    def __iter__(self) -> Iterator[list[Tensor]]:
        for i in range(0, 10, self.batch):
            yield [Tensor(X[i : i + self.batch]), Tensor(Y[i : i + self.batch])]


class Reader:
    """An ONNX Runtime CalibrationDataReader."""

    def __init__(self) -> None:
        self.at = 0

    def get_next(self) -> dict[str, Array] | None:
        self.at += 1
        return {"x": X[self.at - 1 : self.at]} if self.at <= 10 else None


class RewindingReader(Reader):
    def rewind(self) -> None:
        self.at = 0


class MapStyle:
    """What torch's map-style Dataset is to us: one sample by index, and no IndexError."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[Array, int]:
        return X[index % 10], index


def generator() -> Iterator[Array]:
    buffer = np.empty((1, 4), np.float32)
    for row in X:
        buffer[:] = row  # the same memory again and again
        yield buffer


def rows(data: Data) -> list[int]:
    return [int(i) for batch in data for i in batch.feeds["x"][:, 0] // 4]


SOURCES: list[Any] = [
    [X[:3], X[3:]],
    [(X[:3],), (X[3:],)],
    [(X, Y)],
    [{"x": X[:3], "labels": Y[:3]}, {"x": X[3:], "labels": Y[3:]}],
    [{"image": X, "label": Y}],
    [({"x": X}, Y)],
    [(row, label) for row, label in zip(X, Y, strict=True)],
    list(X),
    generator(),
    (X[i : i + 1] for i in range(10)),
    Loader(3),
    Reader(),
    RewindingReader(),
    MapStyle(),
    generator,
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: type(s).__name__)
def test_every_form_gives_all_samples_every_time(source: Any) -> None:
    data = open_data(source, MODEL)
    assert rows(data) == list(range(10))
    assert rows(data) == list(range(10))
    assert data.samples == 10
    if data.labelled:
        assert [int(i) for b in data for i in b.labels if b.labels is not None] == list(range(10))  # type: ignore[union-attr]


def test_two_passes_at_once_do_not_meet() -> None:
    data = open_data(generator(), MODEL)
    pairs = [(a.feeds["x"], b.feeds["x"]) for a, b in zip(data, data, strict=True)]
    assert all((a == b).all() for a, b in pairs)
    assert len(pairs) == 10


def test_what_is_kept_is_said() -> None:
    assert "kept in memory" in open_data(generator(), MODEL).notes[0]
    assert "kept in memory" in open_data(Reader(), MODEL).notes[0]
    assert open_data(RewindingReader(), MODEL).notes == ()


def test_random_order_is_said() -> None:
    sampler = type("RandomSampler", (), {})()
    assert "results differ from run to run" in open_data(Loader(5, sampler), MODEL).notes[0]


def test_a_generator_is_asked_for_no_more_than_is_needed() -> None:
    def endless() -> Iterator[Array]:
        while True:
            yield X

    data = open_data(endless(), MODEL)
    assert next(iter(data)).size == 10


def test_several_inputs_come_in_order_or_by_name() -> None:
    labels = np.zeros(2, int)
    for item in (
        (IDS, 2 * IDS, labels),
        ((IDS, 2 * IDS), labels),
        {"mask": 2 * IDS, "ids": IDS, "y": labels},
    ):
        batch = next(iter(open_data([item], TWO)))
        assert (batch.feeds["mask"] == 2).all()
        assert batch.labels is not None


def test_batches_are_cut_for_a_model_that_takes_a_fixed_number() -> None:
    data = open_data(Loader(3), taking("float[4, 4] x"))
    assert [b.size for b in data] == [4, 4]
    assert data.samples == 8
    assert data.notes == ("the last 2 samples are left out: the model takes 4 at once",)
    assert [b.size for b in open_data(Loader(5), taking("float[1, 4] x"))] == [1] * 10


def test_dicts_for_a_model_without_batch_axis_are_fed_as_they_are() -> None:
    model = taking("float[N, T] x", "float[2, N, 8] state", "int64 sr")
    feeds = {"x": X, "state": np.zeros((2, 1, 8), np.float32), "sr": np.array(16000)}
    batch = next(iter(open_data([feeds, feeds], model)))
    assert {name: a.shape for name, a in batch.feeds.items()} == {
        "x": (10, 4),
        "state": (2, 1, 8),
        "sr": (),
    }


def test_a_channel_axis_is_put_into_batches_of_grey_images() -> None:
    grey = np.zeros((5, 28, 28), np.uint8)
    model = taking("float[N, 1, 28, 28] x")
    assert next(iter(open_data([grey], model))).feeds["x"].shape == (5, 1, 28, 28)
    assert next(iter(open_data([grey[:1]], model))).feeds["x"].shape == (1, 1, 28, 28)


def test_onnx_runtime_subclasses_are_readers() -> None:
    from onnxruntime.quantization import CalibrationDataReader

    class Own(CalibrationDataReader):  # type: ignore[misc]
        inner = Reader()

        def get_next(self) -> dict[str, Array] | None:
            return self.inner.get_next()

    assert rows(open_data(Own(), MODEL)) == list(range(10))


def failing() -> Iterator[Array]:
    yield X
    raise RuntimeError("disk on fire")


def bad_at(index: int) -> list[Array]:
    batches = [X.copy() for _ in range(4)]
    batches[index][6, 1] = np.nan
    return batches


ROW = np.zeros((2, 4), np.float32)
BROKEN: list[tuple[Any, Model, str]] = [
    (bad_at(2), MODEL, r"batch 2: the array for 'x' is NaN at \[6, 1\]"),
    ([X, X[:, :3]], MODEL, "batch 1: the array for 'x' .*axis 1 is 3 where 4 is wanted"),
    ([X, X.astype(np.float64)], MODEL, "batch 1: the array for 'x' .* is float64"),
    ([X, "text"], MODEL, "batch 1: 'x' is a single value, not an array of samples"),
    ([(X, Y), (X, Y[:3])], MODEL, "batch 1: labels does not fit: 3 labels for 10 samples"),
    ([(X, Y), X], MODEL, "batch 1 has no labels, unlike the first"),
    ([(X, Y, Y)], MODEL, r"batch 0 has 3 arrays, and the model has 1 inputs \(x\)"),
    ([(IDS, IDS[:1])], TWO, r"batch 0: the first axes.* differ: 'ids': \(2, 5\), 'mask': \(1, 5\)"),
    ([X, X[:0]], MODEL, "batch 1 is empty"),
    ([{"x": [[1.0, 2.0], [3.0]]}], MODEL, "batch 0: 'x' can't be read as an array"),
    ([{"x": [None]}], MODEL, "batch 0: 'x' is no array of numbers but list"),
    ([], MODEL, "is empty: there is no first batch"),
    (failing(), MODEL, "batch 1 could not be had: RuntimeError: disk on fire"),
    (failing, MODEL, "batch 1 could not be had: RuntimeError: disk on fire"),
    ([np.zeros((2, 8, 8, 3), np.float32)], images(), "add layout=nchw"),
]


@pytest.mark.parametrize(("source", "model", "message"), BROKEN)
def test_what_does_not_fit_is_named_with_its_batch(source: Any, model: Model, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(open_data(source, model))


def test_a_failure_is_not_forgotten_by_the_second_pass() -> None:
    data = open_data(failing(), MODEL)
    for _ in range(2):
        with pytest.raises(DataError, match="disk on fire"):
            list(data)


class Exhausted:
    """An iterable that hands out one and the same iterator."""

    def __init__(self) -> None:
        self.iterator = iter([X])

    def __iter__(self) -> Iterator[Array]:
        return self.iterator


def test_an_iterable_that_does_not_begin_anew_is_found_out() -> None:
    data = open_data(Exhausted(), MODEL)
    with pytest.raises(DataError, match="Exhausted gave nothing when it was gone through again"):
        list(data)


def test_dicts_without_an_input_say_what_there_is() -> None:
    with pytest.raises(UsageError, match="batch 0: which array feeds 'mask'"):
        open_data([{"ids": IDS, "maks": IDS}], TWO)


def test_shuffle_is_not_for_streams(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h4_stream.py").write_text(
        "import numpy as np\n"
        "def batches():\n"
        "    for i in range(5):\n"
        "        yield np.full((4, 4), 2 * i, np.uint8)\n"
    )
    with pytest.raises(OptionError, match="shuffle is for arrays and folders"):
        open_data("h4_stream:batches?shuffle=1", MODEL)
    data = open_data("h4_stream:batches?offset=2&limit=9&batch=5&scale=1/2", MODEL)
    assert [b.feeds["x"][:, 0].tolist() for b in data] == [[0, 0, 1, 1, 1], [1, 2, 2, 2]]
    with pytest.raises(
        OptionError, match=r"4 at once, because dimension 0 of input 'x' is 4;.* --dynamic-batch"
    ):
        open_data("h4_stream:batches?batch=5", taking("float[4, 4] x"))
