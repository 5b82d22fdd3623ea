"""``inspect``, ``compare``, ``benchmark``, ``convert``."""

from __future__ import annotations

import json
from pathlib import Path

from onnxpress import Model
from tests.core.cli.running import run
from tests.core.steps import saved


def test_inspect(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    assert "MatMul" in run("inspect", model).out
    table = json.loads(run("inspect", model, "--json", "--dim", "N=8").out)
    assert table["macs"] == 8 * 4 * 3


def test_dimensions_are_written_name_equals_number(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    for wrong in ("N", "N=", "=3", "N=x"):
        outcome = run("inspect", model, "--dim", wrong)
        assert outcome.code == 2
        assert "write NAME=N, such as batch=8" in outcome.err
    assert "there is no input dimension called 'M'" in run("inspect", model, "--dim", "M=1").err


def test_compare(tmp_path: Path) -> None:
    model, data = saved(tmp_path)
    assert "cosine" in run("compare", model, model, "--data", data).out
    table = json.loads(run("compare", model, model, "--json", "--seed", 3).out)
    assert table["outputs"][0]["max_abs"] == 0


def test_benchmark_and_its_exit_code(tmp_path: Path) -> None:
    model, data = saved(tmp_path)
    args = ("benchmark", model, "--seconds", "0.05", "--threads", "1", "--json")
    outcome = run(*args, "--data", data)
    assert outcome.code == 0, outcome.err
    (entry,) = json.loads(outcome.out)["results"]
    assert entry["ok"]
    assert entry["accuracy"]["value"] == 1
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    outcome = run(*args, broken)
    assert outcome.code == 1
    assert [entry["ok"] for entry in json.loads(outcome.out)["results"]] == [True, False]


def test_convert(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    outcome = run("convert", model, "-o", tmp_path / "new.onnx")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith("wrote ")
    assert Model.load(tmp_path / "new.onnx").opset == 21
    assert (
        "there is no importer called 'onn'"
        in run("convert", model, "-o", tmp_path / "n.onnx", "--importer", "onn").err
    )
    assert "such as -o model-new.onnx" in run("convert", model).err
