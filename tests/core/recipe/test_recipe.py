"""Recipes: files with line numbers, tables, and back again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.errors import OptionError, UsageError, explained
from onnxpress.recipe import Recipe
from tests.core.steps import Dampen, Learn, Schedule, Train, plugins

HOST = plugins()
TOML = """\
metric = "top-1"
seed = 7
max-drop = 0.01

[data]
path = "train.npz"
limit = 256

[[steps]]
use = "dampen"        # a comment
by = 0.25
layers = ["a", "b"]

[[steps]]
use = "train"
[steps.schedule]
max-epochs = 3
"""
YAML = """\
metric: top-1
seed: 7
max-drop: 0.01
data:
  path: train.npz
  limit: 256
steps:
  - use: dampen
    by: 0.25
    layers: [a, b]
  - use: train
    schedule:
      max-epochs: 3
"""
WANTED = Recipe(
    steps=(Dampen(by=0.25, layers=("a", "b")), Train(schedule=Schedule(max_epochs=3))),
    data={"path": "train.npz", "limit": 256},
    metric="top-1",
    seed=7,
    max_drop=0.01,
)


def read(folder: Path, name: str, text: str) -> Recipe:
    (folder / name).write_text(text, encoding="utf-8")
    return Recipe.read(folder / name, HOST)


@pytest.mark.parametrize(("name", "text"), [("r.toml", TOML), ("r.yaml", YAML), ("r.yml", YAML)])
def test_files(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, name, text) == WANTED


def test_steps_may_be_texts(tmp_path: Path) -> None:
    assert read(tmp_path, "r.toml", 'steps = ["dampen:by=0.25", "learn"]').steps == (
        Dampen(by=0.25),
        Learn(),
    )


def test_a_recipe_as_a_table_is_that_recipe_again() -> None:
    table = json.loads(json.dumps(WANTED.to_dict()))
    assert Recipe.from_dict(table, HOST) == WANTED


def test_the_report_of_a_run_is_the_recipe_of_that_run(tmp_path: Path) -> None:
    report = json.dumps({"before": {}, "recipe": WANTED.to_dict()})
    assert read(tmp_path, "report.json", report) == WANTED


def test_data_in_memory_can_not_be_written_down() -> None:
    recipe = Recipe(steps=(Learn(),), data=np.zeros(3), validation=Path("v.npz"), metric=len)
    assert recipe.to_dict() == {"steps": [{"use": "learn"}], "validation": "v.npz", "seed": 0}


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (
            "r.toml",
            "by =",
            "bye =",
            "called 'bye'; did you mean 'by' or 'label'?\n  in {}, line 11",
        ),
        ("r.yaml", "by:", "bye:", "called 'bye'; did you mean 'by' or 'label'?\n  in {}, line 9"),
        ("r.toml", "0.25", "2.5", "at least 0 and less than 1 ({}, line 11)"),
        ("r.yaml", "0.25", "2.5", "at least 0 and less than 1 ({}, line 9)"),
        ("r.toml", "dampen", "dampn", "did you mean 'dampen'?\n  in {}, line 10"),
        ("r.yaml", "dampen", "dampn", "did you mean 'dampen'?\n  in {}, line 8"),
        ("r.toml", "max-epochs = 3", "max_epochs = 0", "it must be at least 1 ({}, line 17)"),
        ("r.yaml", "max-epochs: 3", "epochs: 3", "called 'epochs'"),
        ("r.yaml", "max-epochs: 3", "epochs: 3", "\n  in {}, line 13"),
        ("r.toml", "metric", "metrik", "did you mean 'metric'?\n  in {}, line 1"),
        ("r.toml", 'use = "train"', "", "this one has schedule\n  in {}, line 14"),
        ("r.toml", "= 7", "= -1", "seed is -1; it must be a whole number of at least 0\n  in {}"),
        ("r.toml", "0.01", "'a lot'", "max-drop is 'a lot'; it must be a number"),
        (
            "r.toml",
            "limit = 256",
            "limit = 0",
            "limit is a whole number of at least 1\n  in {}, line 7",
        ),
        (
            "r.yaml",
            "limit:",
            "limt:",
            "limt should name an array, not be 256; did you mean 'limit'",
        ),
        ("r.yaml", "limit:", "limt:", "\n  in {}, line 6"),
        ("r.toml", "seed = 7", "seed = ", "is not TOML: "),
        ("r.toml", TOML, "seed = 7", "a recipe needs at least one step"),
        ("r.toml", TOML, "steps = 7", "steps are a list, not int\n  in {}, line 1"),
        ("r.yaml", "by: 0.25", "use: learn", "{}, line 9: 'use' is given twice"),
        ("r.yaml", "seed: 7", "seed: [", "is not YAML: "),
        ("r.yaml", YAML, "", "a recipe is a table with 'steps', this is empty"),
        ("r.yaml", YAML, "- learn", "a recipe is a table with 'steps', this is a list"),
        ("r.json", TOML, "{", "is not JSON: "),
        ("r.txt", TOML, "", "a recipe is a file that ends in .toml, .yaml, .yml, .json"),
    ],
)
def test_mistakes_come_with_their_line(
    tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    text = YAML if name == "r.yaml" else TOML
    assert old in text
    with pytest.raises(UsageError) as caught:
        read(tmp_path, name, text.replace(old, new, 1))
    assert said.format(tmp_path / name) in explained(caught.value)


def test_a_file_that_is_not_there_has_neighbours(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").touch()
    with pytest.raises(UsageError, match=re.escape("did you mean 'recipe.toml'")):
        Recipe.read(tmp_path / "recip.toml", HOST)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="can't be read"):
        Recipe.read(tmp_path / "r.toml", HOST)


def test_what_is_given_besides_wins_and_steps_are_added() -> None:
    recipe = WANTED.but("learn", HOST, seed=8, metric=None)
    assert recipe.steps == (*WANTED.steps, Learn())
    assert (recipe.seed, recipe.metric) == (8, "top-1")


@pytest.mark.parametrize("settings", [{"seed": True}, {"seed": 1.5}, {"max_drop": float("nan")}])
def test_settings_are_checked_in_python_too(settings: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="it must be"):
        Recipe(**settings)
