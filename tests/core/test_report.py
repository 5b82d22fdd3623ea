"""The report: a table, plain data, a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from onnxpress.contract import Changed, Declined
from onnxpress.errors import UsageError
from onnxpress.metrics.evaluation import Score
from onnxpress.recipe import Recipe
from onnxpress.report import Figures, Report, StepReport
from tests.core.steps import Dampen, plugins

STEP = StepReport(
    "dampen",
    {"by": 0.5, "layers": [], "label": None, "only-large": False},
    1.23456,
    [Changed("conv1", {"zeros": np.int64(3), "scale": np.float32(0.5), "shape": (1, 2)})],
    [Declined(f"layer{i}", f"layer{i} is too small") for i in range(100)]
    + [Declined("bn", "it is a normalisation")],
    asked="by=0.5",
)
REPORT = Report(
    model="net [v2].onnx",
    before=Figures(
        1_094_599, 269_034, 40_551_040, 0.0, {"float32": 1.0}, Score("top-1", 0.9173, 9)
    ),
    after=Figures(
        317_000, 269_034, 40_551_040, 0.5, {"int8": 0.9, "float32": 0.1}, Score("top-1", 0.9123, 9)
    ),
    steps=[STEP],
    recipe=Recipe(steps=(Dampen(),), seed=7).to_dict(),
    data={"data": "train.npz", "validation": None},
    environment={"versions": {}},
    warnings=["look [here]"],
    notes=["array 'y' holds the labels"],
)


def test_the_table() -> None:
    lines = [line.rstrip() for line in str(REPORT).splitlines()]
    assert lines == [
        "net [v2].onnx       before                       after",
        "size               1.09 MB                      317 kB         0.29 ×",
        "parameters         269,034                     269,034         1.00 ×",
        "MACs            40,551,040                  40,551,040         1.00 ×",
        "zeros                 0.0%                       50.0%",
        "precision          float32   int8 90.0%, float32 10.0%",
        "top-1               91.73%                      91.23%   -0.50 points",
        "",
        "dampen  1.2 s, 1 changed, 101 left as they were:",
        "  by=0.5",
        "  100 × … is too small: layer0, layer1, layer2 and 97 more",
        "  1 × it is a normalisation: bn",
        "warning: look [here]",
        "note: array 'y' holds the labels",
    ]


def test_a_step_may_say_in_a_line_what_it_did() -> None:
    step = StepReport("tune", {"lr": 1, "a": 2}, 0, [Changed("all")], [], "loss 3 → 2", "lr=1")
    report = Report("m", REPORT.before, REPORT.after, [step], {})
    assert [line.rstrip() for line in str(report).splitlines()[-3:]] == [
        "tune  0.0 s, 1 changed",
        "  lr=1",
        "  loss 3 → 2",
    ]
    assert step.to_dict()["summary"] == "loss 3 → 2"
    assert step.to_dict()["options"] == {"lr": 1, "a": 2}


def test_many_different_reasons_do_not_flood_the_table() -> None:
    declined = [Declined(f"l{i}", f"reason {chr(65 + i)}") for i in range(50)]
    report = Report("m", REPORT.before, REPORT.after, [StepReport("s", {}, 0, [], declined)], {})
    text = str(report)
    assert len(text.splitlines()) < 20
    assert "44 for other reasons; the JSON report has them all" in text
    assert "nothing changed" in text


def test_reasons_that_differ_in_names_only_are_one() -> None:
    declined = [Declined(f"l{i}", f"w_{i} is stored as int8, {i} times") for i in range(5)]
    declined.append(Declined("x" * 200, "w_9 is small"))
    text = str(Report("m", REPORT.before, REPORT.after, [StepReport("s", {}, 0, [], declined)], {}))
    assert "5 × … is stored as int8, … times: l0, l1, l2 and 2 more" in text
    assert f"1 × w_9 is small: {'x' * 25}…{'x' * 25}" in text


def test_what_was_not_measured_is_said() -> None:
    figures = Figures(10, 1, 0, 0, {})
    text = str(Report("m", figures, figures, [], {}))
    assert "not measured" in text
    assert "10 B" in text


def test_a_metric_that_is_no_share_is_shown_as_it_is() -> None:
    before = Figures(1, 1, 1, 0, {}, Score("mse", 0.0, 1))
    after = Figures(1, 1, 1, 0, {}, Score("mse", 0.00123456, 1))
    assert "+0.00123" in str(Report("m", before, after, [], {}))


def test_the_keys_that_others_rely_on() -> None:
    table = REPORT.to_dict()
    for side in ("before", "after"):
        assert {"bytes_stored", "parameters", "macs", "sparsity", "metric"} <= set(table[side])
    assert table["before"]["metric"] == {"name": "top-1", "value": 0.9173, "samples": 9}
    (step,) = table["steps"]
    assert {"name", "options", "seconds", "changed", "declined"} <= set(step)
    assert step["changed"][0] == {
        "subject": "conv1",
        "details": {"zeros": 3, "scale": 0.5, "shape": [1, 2]},
    }
    assert step["declined"][-1] == {"subject": "bn", "reason": "it is a normalisation"}
    assert {"environment", "recipe", "seed", "warnings", "model"} <= set(table)
    assert table["seed"] == 7


def test_saving_writes_the_same_and_the_run_can_be_repeated(tmp_path: Path) -> None:
    REPORT.save(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == REPORT.to_dict()
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
    assert Recipe.read(tmp_path / "r.json", plugins()) == Recipe(steps=(Dampen(),), seed=7)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("r.html", "only .json is known for now"),
        ("nowhere/r.json", "there is no folder"),
        ("folder.json", "it is a folder"),
    ],
)
def test_where_no_report_can_be_written(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(UsageError, match=said):
        REPORT.save(tmp_path / name)
