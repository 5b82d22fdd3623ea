from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.data import Batch, Data, Epochs, open_data
from onnxpress.errors import DataError, OptionError, UsageError, explained
from tests.core.data.models import images, taking

COUNT = 103
RNG = np.random.default_rng(3)
PIXELS = RNG.integers(0, 256, (COUNT, 8, 8, 3), np.uint8)
PIXELS[:, 0, 0, 0] = np.arange(COUNT)  # which sample it is
CLASSES = np.repeat([0, 1, 2], [70, 25, 8])
ROWS = np.arange(COUNT, dtype=np.float32)[:, None].repeat(4, axis=1)
MODEL = taking("float[N, 4] x")
AUGMENT = ["flip", "crop:padding=2", "jitter:brightness=0.1", "noise", "mixup"]


def stream() -> Iterator[tuple[Any, Any]]:
    for start in range(0, COUNT, 10):
        yield PIXELS[start : start + 10], CLASSES[start : start + 10]


SOURCES: dict[str, Callable[[], Data]] = {
    "mapped": lambda: open_data("a.npz?scale=1/255&layout=nchw", images()),
    "compressed": lambda: open_data("c.npz?scale=1/255&layout=nchw", images()),
    "shuffled": lambda: open_data("a.npz?shuffle=4&limit=90&scale=1/255&layout=nchw", images()),
    "channel-last": lambda: open_data((PIXELS, CLASSES), taking("float[N, 8, 8, 3] x")),
    "stream": lambda: open_data("h4_epochs:stream?scale=1/255&layout=nchw", images()),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=PIXELS, y=CLASSES)
    np.savez_compressed("c.npz", x=PIXELS, y=CLASSES)
    np.savez("rows.npz", x=ROWS, y=np.arange(COUNT))
    (tmp_path / "h4_epochs.py").write_text(
        "from tests.core.data import test_sampling\ndef stream(): return test_sampling.Stream()\n"
    )
    return tmp_path


class Stream:
    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return stream()


class Plain(Data):
    """Data of somebody's own class."""

    name, labelled = "plain", True

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, COUNT, 10):
            rows = np.arange(start, min(start + 10, COUNT))
            yield Batch({"x": ROWS[rows]}, rows)

    @property
    def samples(self) -> int:
        return COUNT


def same(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(_same(one, other) for one, other in zip(a, b, strict=True))


def _same(a: Batch, b: Batch) -> bool:
    assert a.labels is not None
    assert b.labels is not None
    arrays = [*a.feeds.values(), a.labels], [*b.feeds.values(), b.labels]
    return all(
        (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
        for one, other in zip(*arrays, strict=True)
    )


def samples(batches: list[Batch]) -> list[int]:
    return [int(i) for batch in batches for i in batch.feeds["x"][:, 0]]


def sizes(batches: list[Batch]) -> list[int]:
    return [batch.size for batch in batches]


# Laws.


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("options", [{}, {"drop_last": True}, {"shuffle": False}, {"batch": 13}])
def test_any_batch_can_be_made_again(source: str, options: dict[str, Any]) -> None:
    def epochs(seed: int = 5) -> Epochs:
        given = {"batch": 16, **options}
        return Epochs(SOURCES[source](), seed=seed, augment=AUGMENT, classes=3, **given)

    first, second = list(epochs().batches(0)), list(epochs().batches(1))
    used = epochs()
    assert same(list(used.batches(1)), second)
    assert same(list(used.batches(0)), first)
    for start in (1, 3, len(second) - 1, len(second), len(second) + 9):
        assert same(list(epochs().batches(1, start)), second[start:])
    assert not same(first, second)
    assert not same(first, list(epochs(seed=6).batches(0)))
    assert used.steps == len(first) == len(second)


@pytest.mark.parametrize("source", SOURCES)
def test_going_through_the_data_itself_stays_what_it_was(source: str) -> None:
    """Validation is never augmented nor shuffled, even of the very same data."""
    data = SOURCES[source]()
    before = list(data)
    epochs = Epochs(data, batch=16, augment=AUGMENT, classes=3)
    assert not same(list(epochs.batches(0)), before)
    assert same(list(data), before)
    beside = [validated for _, validated in zip(epochs.batches(1), data, strict=False)]
    assert same(beside, before[: len(beside)])


@pytest.mark.parametrize("source", SOURCES)
def test_every_sample_comes_once_with_its_own_label(source: str) -> None:
    data = SOURCES[source]()

    def rows(batches: list[Batch]) -> list[tuple[bytes, int]]:
        return [
            (x.tobytes(), int(y))
            for batch in batches
            for x, y in zip(batch.feeds["x"], batch.labels, strict=True)  # type: ignore[arg-type]
        ]

    shuffled = rows(list(Epochs(data, batch=16).batches(0)))
    assert shuffled != rows(list(data))
    assert sorted(shuffled) == sorted(rows(list(data)))


def test_the_order_of_the_data_is_kept_if_asked() -> None:
    for data in (open_data("rows.npz", MODEL), open_data([(ROWS, CLASSES)], MODEL), Plain()):
        batches = list(Epochs(data, shuffle=False, batch=20).batches(3))
        assert samples(batches) == list(range(COUNT))
        assert sizes(batches) == [20] * 5 + [3]


def test_orders_of_epochs_have_nothing_to_do_with_each_other() -> None:
    epochs = Epochs(open_data("rows.npz", MODEL), batch=COUNT)
    orders = [samples(list(epochs.batches(epoch))) for epoch in range(8)]
    related = np.corrcoef([*orders, range(COUNT)]) - np.eye(9)
    assert np.abs(related).max() < 0.4


# The size of batches.


def test_a_ragged_last_batch_is_kept_or_dropped() -> None:
    data = open_data("rows.npz", MODEL)
    kept, dropped = Epochs(data, batch=50), Epochs(data, batch=50, drop_last=True)
    assert (kept.steps, sizes(list(kept.batches(0)))) == (3, [50, 50, 3])
    assert (dropped.steps, sizes(list(dropped.batches(0)))) == (2, [50, 50])
    left_out = [set(range(COUNT)) - {*samples(list(dropped.batches(e)))} for e in range(3)]
    assert len(set(map(frozenset, left_out))) == 3  # not always the same


def test_the_size_is_that_of_the_data_unless_another_is_given() -> None:
    data = open_data("rows.npz?batch=40", MODEL)
    assert sizes(list(Epochs(data).batches(0))) == [40, 40, 23]
    assert sizes(list(Epochs(data, batch=1000).batches(0))) == [COUNT]
    assert sizes(list(data)) == [40, 40, 23]


def test_a_model_of_fixed_batch_gets_full_batches_only() -> None:
    fixed = taking("float[4, 4] x")
    for source in ("rows.npz", [(ROWS, CLASSES)]):
        epochs = Epochs(open_data(source, fixed))
        assert sizes(list(epochs.batches(0))) == [4] * 25
        assert epochs.steps == 25
        with pytest.raises(OptionError, match="4 at once, because dimension 0 of input 'x' is 4"):
            Epochs(open_data(source, fixed), batch=8)


def test_runs_of_a_model_without_batch_axis_are_shuffled_one_by_one() -> None:
    model = taking("float[T] x", "int64 rate")
    runs: dict[str, Any] = {
        "x": np.arange(20, dtype=np.float32).reshape(10, 2),
        "rate": np.arange(10),
    }
    batches = list(Epochs(open_data(runs, model)).batches(0))
    assert [b.feeds["x"].tolist() for b in batches] == [
        runs["x"][b.feeds["rate"]].tolist() for b in batches
    ]
    order = [int(b.feeds["rate"]) for b in batches]
    assert sorted(order) == list(range(10)) != order
    items = [{"x": x, "rate": rate} for x, rate in zip(runs["x"], runs["rate"], strict=True)]
    streamed = [int(b.feeds["rate"]) for b in Epochs(open_data(items, model)).batches(0)]
    assert sorted(streamed) == list(range(10)) != streamed
    with pytest.raises(OptionError, match="batch=2: the model has no batch axis"):
        Epochs(open_data(items, model), batch=2)


# Balanced sampling.


@pytest.mark.parametrize("source", ["mapped", "shuffled", "channel-last"])
def test_classes_come_equally_often(source: str) -> None:
    data = SOURCES[source]()
    assert data.samples is not None
    epochs = Epochs(data, batch=16, balanced=True)
    for epoch in range(2):
        batches = list(epochs.batches(epoch))
        labels = np.concatenate([b.labels for b in batches if b.labels is not None])
        assert len(labels) == data.samples
        assert np.ptp(np.unique(labels, return_counts=True)[1]) <= 1
        assert same(list(epochs.batches(epoch, 2)), batches[2:])
    assert not same(list(epochs.batches(0)), list(epochs.batches(1)))


def test_a_balanced_sample_keeps_its_label() -> None:
    data = open_data((ROWS, CLASSES), MODEL)
    for batch in Epochs(data, balanced=True).batches(0):
        np.testing.assert_array_equal(batch.labels, CLASSES[batch.feeds["x"][:, 0].astype(int)])


# Streams.


def test_a_stream_is_mixed_sample_by_sample_if_a_size_is_given() -> None:
    epochs = Epochs(open_data(Stream(), taking("float[N, 8, 8, 3] x")), batch=16, buffer=50)
    batches = list(epochs.batches(0))
    assert sizes(batches) == [16] * 6 + [7]
    assert sorted(int(b) for x in batches for b in x.feeds["x"][:, 0, 0, 0]) == list(range(COUNT))


def test_batches_of_a_stream_stay_whole_if_none_is_given() -> None:
    lengths = [5, 9, 7, 6, 8] * 4
    texts = [np.full((2, length), i) for i, length in enumerate(lengths)]
    epochs = Epochs(open_data(texts, taking("int64[N, T] ids")))
    order = [int(batch.feeds["ids"][0, 0]) for batch in epochs.batches(0)]
    assert sorted(order) == list(range(20)) != order
    assert epochs.steps is None
    with pytest.raises(DataError, match=r"samples of 'ids' have the shape .* pad them"):
        list(Epochs(open_data(texts, taking("int64[N, T] ids")), batch=4).batches(0))


def test_the_length_of_a_stream_is_known_after_one_epoch() -> None:
    epochs = Epochs(SOURCES["stream"](), batch=16)
    assert epochs.steps is None
    list(epochs.batches(0))
    assert epochs.steps == 7


def test_data_of_any_other_class_is_a_stream() -> None:
    batches = list(Epochs(Plain(), batch=16).batches(0))
    assert sizes(batches) == [16] * 6 + [7]
    assert sorted(samples(batches)) == list(range(COUNT))


# What goes wrong.


WRONG: list[tuple[Callable[[], Epochs], type[Exception], str]] = [
    (lambda: Epochs(Plain(), batch=0), OptionError, "batch=0: batch is a whole number of at l"),
    (lambda: Epochs(Plain(), seed=-1), OptionError, "seed=-1: seed is a whole number of at"),
    (lambda: Epochs(Plain(), buffer=0), OptionError, "buffer=0: buffer is a whole number"),
    (lambda: Epochs(Plain(), drop_last=True), OptionError, "drop-last needs a batch size: plain"),
    (lambda: Epochs(Plain(), balanced=True), UsageError, "plain comes in batches; give arrays"),
    (
        lambda: Epochs(open_data(ROWS, MODEL), balanced=True),
        UsageError,
        "balanced sampling needs labels, and arrays has none",
    ),
    (
        lambda: Epochs(open_data(ROWS, MODEL), batch=200, drop_last=True),
        DataError,
        "arrays has 103 samples, too few for one batch of 200",
    ),
]


@pytest.mark.parametrize(("make", "kind", "message"), WRONG)
def test_what_can_not_be_is_said_before_anything_runs(
    make: Callable[[], Epochs], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        make()


def test_an_augmentation_that_does_not_fit_names_the_batch() -> None:
    epochs = Epochs(open_data("rows.npz", MODEL), augment="flip")
    with pytest.raises(UsageError, match=r"'x' is float32\[32, 4\]") as caught:
        next(epochs.batches(2, 1))
    assert "in batch 1 of epoch 2" in explained(caught.value)


def test_a_broken_sample_is_named_by_its_place_in_the_file() -> None:
    broken = ROWS.copy()
    broken[57, 2] = np.nan
    np.savez("broken.npz", x=broken)
    for spec in ("broken.npz", "broken.npz?offset=9", "broken.npz?shuffle=1"):
        epochs = Epochs(open_data(spec, MODEL), batch=40)
        with pytest.raises(DataError, match=r"of epoch 4: array 'x' is NaN .* \(sample 57\)"):
            list(epochs.batches(4))


# Memory.

_EPOCH = """
import resource
from onnxpress.data import Epochs, open_data
from tests.core.data.models import taking
data = open_data({path!r}, taking("float[N, 3000] x"))
with open("/proc/self/status") as status:
    now = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (now + {spare}, now + {spare}))
if {load}:
    data._loaded["x"][:].copy()
print(sum(batch.size for batch in Epochs(data, batch=64).batches(0)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits what Linux counts as data")
def test_a_shuffled_epoch_of_a_file_needs_memory_for_a_few_batches(folder: Path) -> None:
    """Where the whole array can't be had, all of its rows can."""
    path = folder / "large.npy"  # a file with holes, which takes no room
    np.lib.format.open_memmap(path, "w+", np.float32, (20_000, 3000)).flush()

    def ended(*, load: bool) -> subprocess.CompletedProcess[str]:
        program = _EPOCH.format(path=str(path), load=load, spare=50_000_000)
        root = Path(__file__).parents[3]
        command = [sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)

    assert "Unable to allocate 229. MiB" in ended(load=True).stderr
    assert ended(load=False).stdout == "20000\n"


def test_a_shuffled_epoch_makes_no_copy_of_the_set(folder: Path) -> None:
    import tracemalloc

    np.savez("big.npz", x=np.zeros((4000, 32, 32, 3), np.uint8), y=np.zeros(4000, int))
    data = open_data("big.npz?scale=1/255&layout=nchw", images(32))
    epochs = Epochs(data, batch=32, augment=["flip", "crop"])
    tracemalloc.start()
    assert sum(batch.size for batch in epochs.batches(0)) == 4000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 32 * 32 * 32 * 3 * 4
