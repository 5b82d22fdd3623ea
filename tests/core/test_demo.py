"""The demo's files, and the demo itself from beginning to end."""

from __future__ import annotations

import io
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from onnxpress.data import open_data
from onnxpress.demo import MODEL, REPORT, SMALL, TEST, TRAIN, DemoResult, run_demo
from onnxpress.errors import UsageError
from onnxpress.graph.model import Model
from onnxpress.metrics import evaluate, open_metric
from onnxpress.session import Session

ASSETS = Path(str(files("onnxpress") / "assets"))
PRINTED_BY_THE_TRAINING_SCRIPT = 0.9450  # top-1 on the first 1,000 test images


def test_the_files_stay_under_2_megabytes() -> None:
    assert sum(path.stat().st_size for path in ASSETS.iterdir()) < 2_000_000


def test_every_file_has_its_licence() -> None:
    text = (ASSETS / "LICENSE.md").read_text(encoding="utf-8")
    assert "The MIT License (MIT) Copyright © 2017 Zalando SE" in text
    assert all(f"`{path.name}`" in text for path in ASSETS.iterdir() if path.suffix != ".md")


@pytest.mark.parametrize(("name", "count"), [(TRAIN, 512), (TEST, 1000)])
def test_the_images_are_as_the_licence_note_says(name: str, count: int) -> None:
    with np.load(ASSETS / name) as data:
        assert data["x"].shape == (count, 28, 28)
        assert data["x"].dtype == data["y"].dtype == np.uint8
        assert np.unique(data["y"]).tolist() == list(range(10))


def test_no_test_image_is_among_those_for_calibration() -> None:
    with np.load(ASSETS / TRAIN) as train, np.load(ASSETS / TEST) as test:
        seen = {image.tobytes() for image in train["x"]}
        assert not any(image.tobytes() in seen for image in test["x"])


def test_the_model_is_as_good_as_the_training_script_said() -> None:
    model = Model.load(ASSETS / MODEL)
    data = open_data(f"{ASSETS / TEST}:input=x,labels=y?scale=1/255", model)
    score = evaluate(Session(model).run, data, open_metric("top-1", ["scores"]))
    assert (score.value, score.samples) == (PRINTED_BY_THE_TRAINING_SCRIPT, 1000)
    assert sum(weight.size for layer in model.layers for weight in layer.tensors) < 300_000


@pytest.fixture(scope="module")
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, printed: io.StringIO) -> DemoResult:
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    return run_demo(folder, Console(file=printed, width=100), seconds=0.5)


def test_it_makes_the_model_smaller_and_keeps_the_accuracy(demo: DemoResult) -> None:
    report = demo.result.report.to_dict()
    before, after = report["before"], report["after"]
    assert before["metric"]["value"] == PRINTED_BY_THE_TRAINING_SCRIPT
    assert after["metric"]["value"] > before["metric"]["value"] - 0.01
    assert after["bytes_stored"] < 0.35 * before["bytes_stored"]
    assert after["sparsity"] == pytest.approx(0.3, abs=0.02)


def test_its_report_has_the_keys_that_are_promised(demo: DemoResult) -> None:
    report = json.loads((demo.folder / REPORT).read_text(encoding="utf-8"))
    assert report.keys() >= {"before", "after", "steps", "environment"}
    for side in ("before", "after"):
        assert report[side].keys() >= {"bytes_stored", "parameters", "macs", "sparsity", "metric"}
        assert report[side]["metric"]["name"] == "top-1"
    assert [step["name"] for step in report["steps"]] == [
        "magnitude-pruning",
        "linear-quantization",
    ]
    keys = {"name", "options", "seconds", "changed", "declined"}
    assert all(step.keys() >= keys for step in report["steps"])


def test_both_models_are_measured(demo: DemoResult) -> None:
    measured = demo.benchmark.to_dict()["results"]
    assert [Path(entry["model"]).name for entry in measured] == [MODEL, SMALL]
    assert all(entry["ok"] and entry["latency_ms"]["median"] > 0 for entry in measured)
    Model.load(demo.folder / SMALL).check()


def test_it_says_what_was_done_and_what_to_do_next(demo: DemoResult, printed: io.StringIO) -> None:
    text = printed.getvalue()
    assert "Zeros alone make no file smaller" in text
    assert f"onnxpress compress model.onnx -o {SMALL}" in text
    assert str(demo.folder) in text


def test_a_folder_that_can_not_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="name another folder"):
        run_demo(tmp_path / "file", Console(file=io.StringIO()))
