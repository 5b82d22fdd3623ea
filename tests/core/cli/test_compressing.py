"""``compress`` and its relatives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnxpress import Model
from tests.core.cli.running import run, use_fake_steps
from tests.core.steps import saved


@pytest.fixture(autouse=True)
def _fake_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_steps(monkeypatch)


def test_a_run_writes_the_model_and_the_report_and_prints_a_table(tmp_path: Path) -> None:
    model, data = saved(tmp_path)
    out, report = tmp_path / "out.onnx", tmp_path / "r.json"
    spec = f"{data}:input=x,labels=labels"
    outcome = run(
        "compress", model, "-o", out, "--step", "dampen:by=0.25", "--step", "learn",
        "--data", f"{data}:input=x?limit=8", "--validation", spec, "--report", report,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "top-1" in outcome.out
    assert "dampen" in outcome.out
    assert outcome.err == f"wrote {out} and {report}\n"
    assert [step["name"] for step in Model.load(out).provenance.history] == ["dampen", "learn"]
    table = json.loads(report.read_text())
    assert table["after"]["metric"]["name"] == "top-1"
    assert table["recipe"]["steps"][0]["by"] == 0.25


def test_the_report_of_a_run_repeats_it_to_the_byte(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    first, second, report = (tmp_path / name for name in ("a.onnx", "b.onnx", "r.json"))
    run("compress", model, "-o", first, "--step", "draw", "--seed", 5, "--report", report)
    outcome = run("compress", model, "-o", second, "--recipe", report)
    assert outcome.code == 0, outcome.err
    assert first.read_bytes() == second.read_bytes()


def test_json_is_all_there_is_on_stdout(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    outcome = run("compress", model, "-o", tmp_path / "o.onnx", "--step", "refuse", "--json")
    assert json.loads(outcome.out)["warnings"] == ["refuse changed nothing"]


def test_quiet_is_silent(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    outcome = run("compress", model, "-o", tmp_path / "o.onnx", "--step", "dampen", "--quiet")
    assert outcome == (0, "", "")


def test_verbose_shows_every_layer(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    args = ("compress", model, "-o", tmp_path / "o.onnx", "--step", "dampen", "--step", "refuse")
    assert "layer42 is too small" not in run(*args).out
    text = run(*args, "--verbose").out
    assert "layer42 is too small" in text
    assert "shape=[4,3]" in text


def test_flags_of_a_step_and_its_spec_add_up(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    out = tmp_path / "o.onnx"
    outcome = run(
        "prune", model, "-o", out, "--step", "dampen:by=0.25,label=spec", "--by", "0.125",
        "--layers", "a", "--layers", "re:l[1,2]", "--only-large", "--mode", "first", "--bits", "4",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert Model.load(out).provenance.history[0]["options"] == {
        "by": 0.125,
        "mode": "first",
        "bits": 4,
        "layers": ["a", "re:l[1,2]"],
        "only-large": True,
        "label": "spec",
    }


def test_tables_are_given_by_repeating_key_and_value(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    out = tmp_path / "o.onnx"
    args = ("prune", model, "-o", out, "--step", "train")
    outcome = run(*args, "--schedule", "max-epochs=3")
    assert outcome.code == 0, outcome.err
    options = Model.load(out).provenance.history[0]["options"]
    assert options == {"schedule": {"max_epochs": 3}}
    assert "no option of train.schedule called 'epoch'" in run(*args, "--schedule", "epoch=3").err
    assert "schedule is [3]; it must be a table, key=value" in run(*args, "--schedule", "3").err


def test_options_of_a_table_need_not_name_it(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    out = tmp_path / "o.onnx"
    args = ("prune", model, "-o", out, "--step")
    outcome = run(*args, "train", "--max-epochs", "3")
    assert outcome.code == 0, outcome.err
    options = Model.load(out).provenance.history[0]["options"]
    assert options == {"schedule": {"max_epochs": 3}}
    assert "  max-epochs=3\n" in outcome.out
    assert run(*args, "train:max-epochs=3").out.splitlines()[1:] == outcome.out.splitlines()[1:]
    twice = run(*args, "train:schedule={max-epochs=3}", "--max-epochs", "4")
    assert (twice.code, twice.out) == (2, "")
    assert twice.err == "error: train: max-epochs is given twice\n"
    assert (
        "train: schedule.max-epochs is 0; it must be at least 1"
        in run(*args, "train", "--max-epochs", "0").err
    )


def test_one_step_only() -> None:
    outcome = run("prune", "m.onnx", "--step", "dampen", "--step=learn")
    assert (outcome.code, outcome.out) == (2, "")
    assert "onnxpress compress takes several" in outcome.err


def test_a_flag_is_checked_like_any_option(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    outcome = run("quantize", model, "-o", tmp_path / "o.onnx", "--step=dampen", "--by=2")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "error: dampen: by is 2; it must be at least 0 and less than 1\n"


def test_a_dry_run_writes_nothing_and_needs_no_output(tmp_path: Path) -> None:
    model, data = saved(tmp_path)
    steps = ("--step", "dampen", "--step", "learn")
    args = ("compress", model, *steps, "--data", data, "--dry-run")
    outcome = run(*args)
    assert outcome.code == 0, outcome.err
    assert "1 changed" in outcome.out
    assert "not tried: it goes through the data" in outcome.out
    assert "by=0.5,mode=all,bits=8,only-large=false" in outcome.out
    assert json.loads(run(*args, "--json").out)["steps"][1]["name"] == "learn"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.npz", "model.onnx"]


def test_a_missed_guard_leaves_with_1_and_keeps_what_was_there(tmp_path: Path) -> None:
    model, data = saved(tmp_path)
    out = tmp_path / "out.onnx"
    out.write_text("old")
    outcome = run(
        "compress", model, "-o", out, "--step", "dampen:by=0", "--validation", data,
        "--max-drop", "0.01", "--report", tmp_path / "r.json",
    )  # fmt: skip
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: top-1 went from 1 to 0.")
    assert out.read_text() == "old"
    assert not (tmp_path / "r.json").exists()


def test_a_name_for_the_output_is_suggested() -> None:
    outcome = run("prune", "net.onnx", "--step", "dampen")
    assert outcome == (2, "", "error: say where to write the result, such as -o net-pruned.onnx\n")


def test_a_bug_is_called_one_and_debugging_shows_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = saved(tmp_path)
    args = ("compress", model, "-o", tmp_path / "o.onnx", "--step", "break")
    outcome = run(*args)
    assert outcome.code == 1
    assert "this looks like a bug in tests" in outcome.err
    assert "Traceback" not in outcome.err
    monkeypatch.setenv("ONNXPRESS_DEBUG", "1")
    assert "ZeroDivisionError" in run(*args).err
    assert "Traceback" in run(*args).err


def test_what_nobody_foresaw_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("lost")

    model, _ = saved(tmp_path)
    monkeypatch.setattr("onnxpress.compressing.compress", fail)
    outcome = run("compress", model, "-o", tmp_path / "o.onnx", "--step", "dampen")
    assert outcome.code == 1
    assert outcome.err.startswith("error: KeyError: 'lost'\n  This is a bug in onnxpress.")
    assert "ONNXPRESS_DEBUG=1" in outcome.err
