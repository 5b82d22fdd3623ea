"""docs/recipes.md: the files, the command and the Python example run, and agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxpress import Model, Plugins
from onnxpress.recipe import Recipe
from tests import pages

BLOCKS = list(pages.blocks("recipes.md"))


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages.digits(tmp_path)
    for block in BLOCKS:
        if block.title.startswith("recipe."):
            (tmp_path / block.title).write_text(block.text)


def test_toml_and_yaml_say_the_same() -> None:
    plugins = Plugins.discover()
    toml, yaml = (Recipe.read(f"recipe.{kind}", plugins) for kind in ("toml", "yaml"))
    assert toml.steps == yaml.steps
    assert (toml.seed, toml.metric, toml.max_drop) == (yaml.seed, yaml.metric, yaml.max_drop)


def test_the_command_runs_with_either_file() -> None:
    (block,) = (b for b in BLOCKS if b.language == "console")
    assert pages.check_console(block) == 1
    first = Path("small.onnx").read_bytes()
    assert pages.check_console(block._replace(text=block.text.replace("toml", "yaml"))) == 1
    assert Path("small.onnx").read_bytes() == first


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = (b for b in BLOCKS if b.language == "python")
    exec(block.text, {})
    assert "linear-quantization" in capsys.readouterr().out
    names = [step["name"] for step in Model.load("small.onnx").provenance.history]
    assert names == ["magnitude-pruning", "magnitude-pruning", "linear-quantization"]
