"""The pipeline: steps, checks, judgement, guard, history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxpress
from onnxpress.compressing import Result
from onnxpress.errors import (
    DataError,
    GuardError,
    ModelError,
    OnnxpressError,
    PluginError,
    UsageError,
    explained,
)
from onnxpress.events import Event, Progress, StepFinished, StepStarted
from onnxpress.recipe import Recipe
from tests.core.steps import Dampen, Learn, arrays, model, plugins, saved
from tests.graphs import graph

HOST = plugins()


def compress(steps: Any, source: object = None, **options: Any) -> Result:
    return onnxpress.compress(source or model(), steps, plugins=HOST, **options)


def weight_of(made: onnxpress.Model) -> Any:
    return made.layers[0].weight.array()


def test_steps_run_in_order_and_the_original_stays() -> None:
    original = model()
    before = weight_of(original).copy()
    result = compress(["dampen:by=0.5", {"use": "dampen", "by": 0.25}, Dampen(by=0.5)], original)
    np.testing.assert_array_equal(weight_of(result.model), before / 16)
    np.testing.assert_array_equal(weight_of(original), before)
    assert [step.options["by"] for step in result.report.steps] == [0.5, 0.25, 0.5]


def test_a_path_a_recipe_file_and_more_steps(tmp_path: Path) -> None:
    path, data = saved(tmp_path)
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"steps: [learn]\ndata: {data}\nseed: 3")
    result = onnxpress.compress(path, "dampen", recipe=recipe, plugins=HOST)
    assert result.report.model == "model.onnx"
    assert [step.name for step in result.report.steps] == ["learn", "dampen"]
    assert result.report.recipe["seed"] == 3


def test_the_history_is_in_the_model_and_has_no_times(tmp_path: Path) -> None:
    once = compress("dampen:by=0.25").model
    once.save(tmp_path / "once.onnx")
    twice = compress("refuse", tmp_path / "once.onnx").model
    first, second = twice.provenance.history
    assert first["name"] == "dampen"
    assert first["options"]["by"] == 0.25
    assert set(first) == {"name", "options", "seed", "onnxpress"}
    assert second["name"] == "refuse"


def test_the_same_input_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        compress(["draw", "draw"], seed=seed).model.save(tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


def test_every_step_draws_its_own_random_numbers() -> None:
    result = compress(["draw", "draw"])
    first, second = result.model.provenance.history
    assert first["seed"] != second["seed"]


def test_metric_before_and_after() -> None:
    test = arrays()
    result = compress("dampen:by=0", data=arrays(8, seed=2), validation=test)
    before, after = result.report.before.metric, result.report.after.metric
    assert before is not None
    assert after is not None
    assert (before.name, before.value, before.samples) == ("top-1", 1.0, 64)
    assert after.value == pytest.approx(np.mean(test["labels"] == 0))
    assert result.report.warnings == []


def test_without_labels_the_result_is_compared_with_the_original() -> None:
    result = compress("dampen:by=0.5", validation=arrays()["x"])
    before, after = result.report.before.metric, result.report.after.metric
    assert before is not None
    assert after is not None
    assert before.name == "cosine"
    assert before.value == pytest.approx(1)
    assert after.value == pytest.approx(1)  # half as long, the same direction


def test_an_error_metric_is_zero_before() -> None:
    result = compress("dampen:by=0.5", validation=arrays()["x"], metric="mse")
    before, after = result.report.before.metric, result.report.after.metric
    assert before is not None
    assert after is not None
    assert before.value == 0 < after.value


def test_shared_samples_are_warned_about() -> None:
    both = arrays()
    result = compress("dampen", data=both, validation=both)
    assert "share" in result.report.warnings[0]


def test_a_step_that_changes_nothing_is_warned_about() -> None:
    report = compress("refuse").report
    assert list(report.warnings) == ["refuse changed nothing"]
    assert len(report.steps[0].declined) == 100


def test_a_result_within_the_limit_passes_and_one_beyond_does_not() -> None:
    test = arrays()
    assert compress("dampen:by=0.5", validation=test, max_drop=0).report
    with pytest.raises(GuardError) as caught:
        compress(["dampen:by=0.5", "dampen:by=0", "refuse"], validation=test, max_drop=0.05)
    first, one, two, three = str(caught.value).splitlines()
    assert first.startswith("top-1 went from 1 to 0.")
    assert "max-drop allows 0.05; nothing was written" in first
    assert one == "  after step 1, dampen: 1, worse by 0, within the limit"
    assert two.startswith("  after step 2, dampen: 0.")
    assert two.endswith("too much")
    assert three.endswith("too much")


def test_where_low_is_good_a_rise_is_a_loss() -> None:
    with pytest.raises(GuardError, match="mse went from 0 to"):
        compress("dampen:by=0", validation=arrays()["x"], metric="mse", max_drop=0.1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metric": "top-1"}, "the metric top-1 needs data to be measured on: give .*--validation"),
        ({"metric": "top-1", "data": arrays()}, "--data is what steps calibrate and train on"),
        ({"max_drop": 0.1}, "max-drop limits a metric, which needs data"),
        ({"validation": arrays()["x"], "metric": "top-1"}, "top-1 needs labels"),
        ({"validation": arrays(), "metric": "topp-1"}, "no metric called 'topp-1'"),
        ({"validation": "nowhere.npz"}, "there is no file or folder 'nowhere.npz'"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_wrong_use(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        compress("dampen", **options)


def test_no_step_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="there is nothing to do"):
        compress([])


def test_labels_that_do_not_fit() -> None:
    wrong = {**arrays(), "labels": np.full(64, 7)}
    with pytest.raises(DataError, match="7 of sample 0 in batch 0 is no class index"):
        compress("dampen", validation=wrong)


def test_a_step_that_needs_data_says_so_and_is_named() -> None:
    with pytest.raises(UsageError, match="learn needs data") as caught:
        compress(["dampen:by=0.25", "learn"])
    assert explained(caught.value).endswith("\n  in step 2 of 2: learn")


def test_what_no_step_should_raise_is_blamed_on_its_package() -> None:
    with pytest.raises(PluginError) as caught:
        compress("break")
    assert explained(caught.value) == (
        "break failed with ZeroDivisionError: by nothing; this looks like a bug in tests rather "
        "than in your model or data\n  in step break"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("rename", r"the outputs are no longer those of the original: they were y float\['N', 3\]"),
        ("invalid", "NoSuchOperator"),
    ],
)
def test_a_result_that_is_no_longer_the_same_kind_of_model_is_refused(how: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        compress(["dampen", f"spoil:how={how}"])
    assert f"in step 2 of 2: spoil:how={how}" in explained(caught.value)


CUSTOM = graph(
    "g (float[N,4] x) => (float[N,3] y) { h = MatMul(x, w)\n y = acme.Unknown(h) }",
    w=np.ones((4, 3)),
)


def test_a_model_that_onnx_runtime_does_not_load_is_compressed_untried() -> None:
    result = compress("dampen", CUSTOM)
    assert result.report.warnings[0].startswith("ONNX Runtime does not load the original")
    with pytest.raises(ModelError, match="does not load"):
        compress("dampen", CUSTOM, validation=arrays())


def test_observers_and_callers_are_told_of_progress() -> None:
    events: list[Event] = []
    compress(["dampen", "refuse"], validation=arrays(), notify=events.append)
    assert [e.name for e in events if isinstance(e, StepStarted)] == ["dampen", "refuse"]
    finished = [e for e in events if isinstance(e, StepFinished)]
    assert [(e.index, e.total, e.changed, e.declined) for e in finished] == [
        (0, 2, 1, 0),
        (1, 2, 0, 100),
    ]
    progress = [e for e in events if isinstance(e, Progress)]
    assert {e.label for e in progress} == {
        "dampening",
        "measuring the original",
        "measuring the result",
    }
    assert progress[-1].done == progress[-1].total == 64


def test_a_recipe_object_runs_as_it_is() -> None:
    recipe = Recipe(steps=(Learn(),), data=arrays(10))
    report = onnxpress.compress(model(), recipe=recipe, plugins=HOST).report
    assert report.steps[0].changed[0].details == {"seen": 10}


def test_errors_of_the_run_are_errors_of_ours() -> None:
    with pytest.raises(OnnxpressError):
        compress("dampen", "no such file.onnx")
