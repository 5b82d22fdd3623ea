"""Pruning during training from the command line and from a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from onnxpress import Model
from tests.core.cli.running import run
from tests.core.training.fitting import weights
from tests.core.training.nets import mlp, samples

RECIPE = """
[data]
path = "data.npz"

[[steps]]
use = "magnitude-pruning"
sparsity = 0.75
schedule = {use = "polynomial", initial = 0.5}

[steps.train]
epochs = 2
batch = 8
lr = 0.05
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an MLP, labelled data for it, and a recipe."""
    mlp().save(tmp_path / "m.onnx")
    source = samples()
    np.savez(tmp_path / "data.npz", x=source["x"], labels=source["labels"])
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def test_flags_and_a_recipe_give_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = folder / "m.onnx", folder / "data.npz"
    flags = ["--sparsity", 0.75, "--schedule", "polynomial:initial=0.5", "--epochs", 2]
    more = ["--batch", 8, "--lr", 0.05, "--data", data]
    outcome = run("prune", model, "-o", folder / "a.onnx", *flags, *more)
    assert outcome.code == 0, outcome.err
    assert "75.0% of 72 weights zero, 2 epochs, loss" in outcome.out
    monkeypatch.chdir(folder)
    recipe = ["--recipe", "recipe.toml", "--json"]
    outcome = run("compress", model, "-o", folder / "b.onnx", *recipe)
    assert outcome.code == 0, outcome.err
    (step,) = json.loads(outcome.out)["steps"]
    assert step["options"]["schedule"]["use"] == "polynomial"
    a, b = (weights(Model.load(folder / name)) for name in ("a.onnx", "b.onnx"))
    assert (a["w1"] == 0).sum() == 36
    assert {name: array.tobytes() for name, array in a.items()} == {
        name: array.tobytes() for name, array in b.items()
    }


def test_the_schedule_of_the_learning_rate_is_an_option_of_the_table(folder: Path) -> None:
    model, data = folder / "m.onnx", folder / "data.npz"
    flags = ["--schedule", "constant", "--train", "schedule=step:every=1", "--epochs", 2, "--json"]
    outcome = run("prune", model, "-o", folder / "a.onnx", "--data", data, *flags)
    assert outcome.code == 0, outcome.err
    (step,) = json.loads(outcome.out)["steps"]
    assert step["options"]["schedule"]["use"] == "constant"
    assert step["options"]["train"]["schedule"]["use"] == "step"
    assert step["options"]["train"]["epochs"] == 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--schedule", "polinomial"], "did you mean 'polynomial'"),
        (["--schedule", "polynomial"], "say how to train: epochs="),
        (["--schedule", "polynomial:initial=50", "--epochs", 1], "did you mean 0.5?"),
        (["--schedule", "polynomial:begin=40", "--epochs", 1], "from update 40 to"),
    ],
)
def test_what_is_wrong_is_said(flags: list[object], said: str, folder: Path) -> None:
    out = folder / "out.onnx"
    outcome = run("prune", folder / "m.onnx", "-o", out, "--data", folder / "data.npz", *flags)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert not out.exists()
