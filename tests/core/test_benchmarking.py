from __future__ import annotations

import json
import math
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import psutil
import pytest

from onnxpress import Model, Plugins, Runtime, hookimpl
from onnxpress.benchmarking import benchmark
from onnxpress.errors import DataError, OnnxpressError, OptionError, UnknownNameError, UsageError
from onnxpress.events import Benchmarked, Event, Progress
from onnxpress.measure.results import Benchmark
from onnxpress_runtimes.cpu import Cpu
from tests.core.measure.models import save, save_dense, save_slow
from tests.core.measure.runtimes import BrokenProbe, Fake, Picky, Untimed, Unusable

KEYS = {
    "model",
    "runtime",
    "ok",
    "reason",
    "latency_ms",
    "throughput",
    "load_ms",
    "peak_memory_mb",
    "bytes_stored",
    "ratio_to_first",
    "accuracy",
}
QUICK: dict[str, Any] = {"seconds": 0.06, "rounds": 6, "threads": 1, "timeout": 60.0}


def _quick(models: Any, runtimes: Any = (Cpu,), **options: Any) -> Benchmark:
    return benchmark(models, runtimes, **{"plugins": Plugins(), **QUICK, **options})


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model, and one of the same shape that does about twenty times the work."""
    folder = tmp_path_factory.mktemp("pair")
    return (
        save_slow(folder / "small.onnx", layers=2, width=512),
        save_slow(folder / "large.onnx", layers=40, width=512),
    )


def test_two_models_are_measured_and_compared(pair: tuple[Path, Path]) -> None:
    found = _quick([pair[1], pair[0]], seconds=0.3)
    large, small = found.results
    assert found.ok
    assert large.keys() >= KEYS
    assert [large["model"], small["model"]] == [str(pair[1]), str(pair[0])]
    assert 0 < small["latency_ms"]["median"] <= small["latency_ms"]["p90"]
    assert small["latency_ms"]["p90"] <= small["latency_ms"]["p99"]
    ratio = small["ratio_to_first"]
    assert 1 / 60 < ratio["latency"] < 1 / 5
    assert ratio["latency_interval"][0] <= ratio["latency"] <= ratio["latency_interval"][1]
    assert ratio["size"] == pytest.approx(pair[0].stat().st_size / pair[1].stat().st_size, rel=1e-5)
    assert large["ratio_to_first"]["latency"] == 1
    assert small["throughput"] == pytest.approx(1e3 / small["latency_ms"]["median"], rel=0.9)
    assert small["load_ms"] > 0
    assert small["peak_memory_mb"] >= small["base_memory_mb"] > 10
    assert small["rounds"] == 6
    assert small["runs"] >= 6
    assert small["threads"] == 1
    assert small["timing"] == "real"
    assert small["details"]["provider"] == "CPUExecutionProvider"


def test_the_result_is_plain_json_with_the_same_keys_every_time(pair: tuple[Path, Path]) -> None:
    one, other = (_quick([pair[0]], [Fake], seed=3).to_dict() for _ in range(2))
    text = json.dumps(one, allow_nan=False)
    assert json.loads(text)["environment"]["versions"]["onnxpress"]
    assert [list(r) for r in one["results"]] == [list(r) for r in other["results"]]
    assert one["settings"] == {"seconds": 0.06, "rounds": 6, "seed": 3}


def test_each_failure_costs_one_entry(tmp_path: Path) -> None:
    names = ["good", "raises", "segfault", "also good"]
    models = [save_dense(tmp_path / f"{name}.onnx") for name in names]
    results = _quick(models, [Picky]).results
    assert [r["ok"] for r in results] == [True, False, False, True]
    assert results[0]["reason"] is None
    assert results[1]["reason"] == "ValueError: something unforeseen"
    assert "SIGSEGV" in results[2]["reason"]
    assert results[2]["latency_ms"] is None
    assert results[2]["bytes_stored"] == models[2].stat().st_size
    assert results[3]["ratio_to_first"]["latency_interval"]
    assert all(set(r) == set(results[0]) for r in results)


def test_a_device_that_vanishes_in_the_middle_costs_one_entry(tmp_path: Path) -> None:
    models = [save_dense(tmp_path / f"{name}.onnx") for name in ("later", "good")]
    later, good = _quick(models, [Picky], seconds=0.2).results
    assert later["reason"] == "the device is gone"
    assert later["latency_ms"] is later["runs"] is None
    assert good["rounds"] == 6
    assert good["ratio_to_first"]["latency"] is None


def test_a_model_that_hangs_costs_one_entry(tmp_path: Path) -> None:
    models = [save_dense(tmp_path / f"{name}.onnx") for name in ("hangs", "good")]
    hangs, good = _quick(models, [Picky], timeout=1.5).results
    assert hangs["reason"].startswith("no answer for 1.5 s while loading the model")
    assert good["ok"]
    assert good["ratio_to_first"]["latency"] is None
    assert good["ratio_to_first"]["size"] == 1


def test_a_damaged_file_costs_one_entry(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"this is no model, but long enough to look at")
    good, damaged = _quick([pair[0], bad], [Fake]).results
    assert good["ok"]
    assert "is no ONNX model, or it is cut short or damaged" in damaged["reason"]
    assert damaged["bytes_stored"] == bad.stat().st_size


def test_models_take_turns_in_every_round(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save_dense(tmp_path / f"{name}.onnx")
    _quick([tmp_path / f"{name}.onnx" for name in "abc"], [Fake], rounds=8)
    ran = (tmp_path / "order.txt").read_text().split()
    turns = [name for name, _ in groupby(ran)]
    assert turns[:3] == ["a", "b", "c"]  # warmed up one after the other
    # Nobody runs twice in a row, so that each turn shows; but the first may go on.
    assert len(turns[3:]) in {23, 24}
    assert all(sorted(turns[i : i + 3]) == ["a", "b", "c"] for i in range(len(turns) - 3, 3, -3))
    counts = [ran.count(name) for name in "abc"]
    assert max(counts) < 2 * min(counts)


def test_rounds_are_spread_over_launches_with_fresh_processes(tmp_path: Path) -> None:
    (entry,) = _quick([save_dense(tmp_path / "m.onnx")], [Fake], rounds=7, launches=3).results
    assert (entry["launches"], entry["rounds"]) == (3, 7)
    assert len(set((tmp_path / "pids.txt").read_text().split())) == 3


def test_models_in_memory_are_told_apart(pair: tuple[Path, Path]) -> None:
    model = Model.load(pair[0])
    found = _quick([model, model, pair[0], pair[0]], [Fake])
    assert [r["model"] for r in found.results] == [
        "small.onnx",
        "small.onnx (2)",
        str(pair[0]),
        f"{pair[0]} (2)",
    ]
    assert all(r["ok"] and r["bytes_stored"] > 0 for r in found.results)


def test_external_data_counts_as_stored(tmp_path: Path) -> None:
    path = save_dense(tmp_path / "m.onnx", inputs=1000)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    (entry,) = _quick([path], [Fake]).results
    assert entry["bytes_stored"] == path.stat().st_size + (tmp_path / "w.bin").stat().st_size
    assert entry["bytes_stored"] > 16_000


def test_a_batch_is_many_samples_a_run(pair: tuple[Path, Path]) -> None:
    (eight,) = _quick([pair[0]], batch=8).results
    assert eight["batch"] == 8
    assert eight["inputs"] == {"x": [8, 512]}
    expected = 8e3 / eight["latency_ms"]["median"]
    assert eight["throughput"] == pytest.approx(expected, rel=0.9)


def _labelled(path: Path, samples: int = 100) -> tuple[np.ndarray[Any, Any], ...]:
    """Data on which the model of `save_dense` is right in 90 of 100 samples."""
    x = np.random.default_rng(1).standard_normal((samples, 16)).astype("f")
    labels = Model.load(path).run({"x": x})["y"].argmax(1)
    labels[: samples // 10] = (labels[: samples // 10] + 1) % 4
    return x, labels


def test_labelled_data_gives_accuracy_and_difference(tmp_path: Path) -> None:
    first = save_dense(tmp_path / "a.onnx")
    twice = save_dense(tmp_path / "b.onnx", scale=2.0)
    inverse = save_dense(tmp_path / "c.onnx", scale=-1.0)
    a, b, c = _quick([first, twice, inverse], data=_labelled(first)).results
    assert a["accuracy"] == {"name": "top-1", "value": 0.9}
    assert b["accuracy"] == {"name": "top-1", "value": 0.9}
    assert c["accuracy"]["value"] < 0.2
    assert a["output_difference"] is None
    assert b["output_difference"]["relative_l2"] == pytest.approx(1)
    assert b["output_difference"]["top1_agreement"] == 1
    assert c["output_difference"]["relative_l2"] == pytest.approx(2)


def test_data_without_labels_gives_the_difference_alone(tmp_path: Path) -> None:
    models = [save_dense(tmp_path / f"{name}.onnx") for name in "ab"]
    x = np.ones((5, 16), dtype="f")
    a, b = _quick(models, data=[{"x": x}, {"x": x}]).results
    assert a["accuracy"] is b["accuracy"] is None
    assert b["output_difference"]["max_abs"] == 0


def test_a_metric_of_ones_own_is_computed_here(tmp_path: Path) -> None:
    path = save_dense(tmp_path / "a.onnx")
    here: list[int] = []

    def share_of_ones(outputs: Any, labels: Any) -> float:
        here.append(len(labels))
        return float(np.mean(labels == 1))

    x, labels = _labelled(path)
    (entry,) = _quick([path], data=(x, labels), metric=share_of_ones).results
    assert entry["accuracy"]["value"] == pytest.approx(np.mean(labels == 1))
    assert sum(here) == 100


def test_a_model_that_the_data_does_not_fit_costs_one_entry(tmp_path: Path) -> None:
    first = save_dense(tmp_path / "a.onnx")
    other = save(
        tmp_path / "b.onnx",
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        np.ones((7, 4), dtype="f"),
    )
    a, b = _quick([first, other], data=_labelled(first)).results
    assert a["ok"]
    assert not b["ok"]
    assert "16" in b["reason"]


def test_a_model_with_other_outputs_costs_one_entry(tmp_path: Path) -> None:
    first = save_dense(tmp_path / "a.onnx")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["other"])
    other = save(tmp_path / "b.onnx", [node], np.ones((16, 4), dtype="f"), output="other")
    a, b = _quick([first, other], data=_labelled(first)).results
    assert a["ok"]
    assert b["reason"] == "it has no output 'y' as the first model has, but 'other'"


def test_untimed_runtimes_have_no_latency(tmp_path: Path) -> None:
    models = [save_dense(tmp_path / f"{name}.onnx") for name in "ab"]
    for entry in _quick(models, [Untimed]).results:
        assert entry["ok"]
        assert entry["timing"] == "none"
        assert entry["latency_ms"] is entry["ratio_to_first"]["latency"] is None
        assert entry["load_ms"] is not None


def test_unusable_runtimes_say_why_and_the_others_go_on(tmp_path: Path) -> None:
    path = save_dense(tmp_path / "m.onnx")
    fake, unusable, broken = _quick([path], [Fake, Unusable, BrokenProbe]).results
    assert fake["ok"]
    assert unusable["reason"] == "no such device; plug it in"
    assert broken["reason"] == "its probe failed: RuntimeError: no driver"


def test_it_is_an_error_if_no_runtime_can_be_used(tmp_path: Path) -> None:
    with pytest.raises(OnnxpressError, match=r"none of the runtimes.*unusable: no such device"):
        _quick([save_dense(tmp_path / "m.onnx")], [Unusable])


class HereOnly(Fake):
    """Stands in for one that a script defines."""

    name: ClassVar[str] = "here-only"


def test_wrong_calls_are_refused(tmp_path: Path) -> None:
    path = save_dense(tmp_path / "model.onnx")
    with pytest.raises(UsageError, match="there is no model"):
        _quick([])
    with pytest.raises(UsageError, match=r"no file '.*modle.onnx'; did you mean 'model.onnx'"):
        _quick([tmp_path / "modle.onnx"])
    with pytest.raises(UsageError, match="is a folder"):
        _quick([tmp_path])
    with pytest.raises(UsageError, match="a ModelProto can't be measured"):
        _quick(onnx.load(path))
    with pytest.raises(UsageError, match="metric 'top-1' needs data"):
        _quick([path], metric="top-1")
    with pytest.raises(UsageError, match="needs labels"):
        _quick([path], data=np.ones((3, 16), dtype="f"), metric="top-1")
    with pytest.raises(DataError, match="16"):
        _quick([path], data=np.ones((3, 17), dtype="f"))
    wrong = {"threads": 0, "seconds": 0.0, "seconds ": math.nan, "rounds": 0, "launches": 1001}
    for name, value in wrong.items():
        with pytest.raises(OptionError, match=f"{name.strip()} is {value}"):
            _quick([path], **{name.strip(): value})


def test_unknown_runtimes_get_the_nearest_name(tmp_path: Path) -> None:
    class Offering:
        @hookimpl
        def onnxpress_runtimes(self) -> list[type[Runtime]]:
            return [Fake]

    plugins = Plugins()
    plugins.add("fakes", Offering())
    with pytest.raises(UnknownNameError, match="did you mean 'fake'"):
        _quick([save_dense(tmp_path / "m.onnx")], ["fkae"], plugins=plugins)
    (entry,) = _quick([tmp_path / "m.onnx"], "fake", plugins=plugins).results
    assert entry["runtime"] == "fake"


def test_runtimes_that_cannot_be_imported_elsewhere_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HereOnly, "__module__", "__main__")
    with pytest.raises(UsageError, match="can't be imported by another process"):
        _quick([save_dense(tmp_path / "m.onnx")], [HereOnly])


def test_observers_are_told(tmp_path: Path) -> None:
    class Observer:
        seen: ClassVar[list[Event]] = []

        @hookimpl
        def onnxpress_event(self, event: Event) -> None:
            self.seen.append(event)

    plugins, events = Plugins(), list[Event]()
    plugins.add("observer", Observer())
    models = [save_dense(tmp_path / f"{name}.onnx") for name in "ab"]
    found = _quick(models, [Fake], plugins=plugins, notify=events.append)
    assert events == Observer.seen
    told = [event for event in events if isinstance(event, Benchmarked)]
    assert [event.result for event in told] == list(found.results)
    timing = [e for e in events if isinstance(e, Progress) and e.label == "timing"]
    assert [(e.done, e.total) for e in timing] == [(i, 6) for i in range(7)]


def test_nothing_is_left_behind_after_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    workers: list[psutil.Process] = []

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.label == "timing" and event.done == 2:
            workers.extend(psutil.Process().children(recursive=True))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _quick([save_dense(tmp_path / "m.onnx")], [Fake], notify=interrupt)
    assert workers
    assert not any(worker.is_running() for worker in workers)
    assert not list((tmp_path / "tmp").iterdir())
    assert not list(tmp_path.glob("*.npz"))


def test_the_table_fits_100_columns_and_holds_the_reasons(tmp_path: Path) -> None:
    names = ["a", "a_model_with_quite_a_long_name_as_[b]_exporters_like_them", "raises"]
    models = [save_dense(tmp_path / f"{name}.onnx") for name in names]
    text = str(_quick(models, [Cpu, Picky], data=_labelled(models[0])))
    assert max(map(len, text.splitlines())) <= 100
    assert "raises.onnx on picky failed: ValueError: something unforeseen" in text
    assert "1.00× [1.00, 1.00]" in text
    assert "90.00 %" in text
    assert "…" not in text
    assert "[b]" in text
    assert str(tmp_path) not in text
