"""Taking parts out from the command line and from a recipe: what users type, and read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from onnxpress import Model
from tests.core.cli.running import Outcome, run
from tests.graphs import normal
from tests.plugins.pruning.removal.nets import residual, widths

RECIPE = """
[[steps]]
use = "magnitude-pruning"
structure = "channel"
criterion = "l2"
scope = "global"
macs = 0.5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a residual network, labelled data for it, and a recipe."""
    residual().save(tmp_path / "m.onnx")
    x = normal(16, 3, 8, 8)
    np.savez(tmp_path / "data.npz", x=x, labels=np.arange(16) % 10)
    np.savez(tmp_path / "plain.npz", x=x)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def prune(folder: Path, *flags: object) -> Outcome:
    return run("prune", folder / "m.onnx", "-o", folder / "out.onnx", *flags)


def test_flags_a_step_and_a_recipe_give_the_same(folder: Path) -> None:
    flags = ["--structure", "channel", "--criterion", "l2", "--scope", "global", "--macs", 0.5]
    made = []
    assert prune(folder, *flags).code == 0
    made.append((folder / "out.onnx").read_bytes())
    spec = "magnitude-pruning:structure=channel,criterion=l2,scope=global,macs=0.5"
    for how in (["--step", spec], ["--recipe", folder / "recipe.toml"]):
        outcome = run("compress", folder / "m.onnx", "-o", folder / "out.onnx", *how)
        assert outcome.code == 0, outcome.err
        made.append((folder / "out.onnx").read_bytes())
    assert made[0] == made[1] == made[2]
    assert Model.load(folder / "out.onnx").cost().macs <= residual().cost().macs / 2


def test_the_report_says_how_much_went_and_lists_it_if_asked(folder: Path) -> None:
    outcome = prune(folder, "--structure", "channel", "--ratio", 0.5, "--verbose")
    said = " ".join(outcome.out.split())
    assert "24 of 48 channels cut out, in 3 of 3 groups" in said
    assert "changed stem channels=8, of=16, together_with=b1, b2, read_by=a1, a2, fc" in said


def test_a_dry_run_writes_nothing(folder: Path) -> None:
    outcome = prune(folder, "--structure", "channel", "--macs", 0.5, "--dry-run")
    assert outcome.code == 0
    assert "channels cut out, in" in outcome.out
    assert not (folder / "out.onnx").exists()


def test_json_has_every_group(folder: Path) -> None:
    flags = ["--structure", "channel", "--recalibrate", "none", "--json"]
    (step,) = json.loads(prune(folder, *flags).out)["steps"]
    assert step["options"]["structure"] == "channel"
    assert [c["subject"] for c in step["changed"]] == ["stem", "a1", "a2"]
    assert {c["details"]["channels"] for c in step["changed"]} == {8}


def test_saliency_on_data(folder: Path) -> None:
    spec = "saliency-pruning:structure=channel,criterion=taylor,ratio=0.5"
    outcome = prune(folder, "--step", spec, "--data", folder / "data.npz")
    assert outcome.code == 0, outcome.err
    assert widths(Model.load(folder / "out.onnx"))["a1"] == 8


def test_depth_leaves_blocks_out(folder: Path) -> None:
    outcome = prune(folder, "--structure", "depth", "--ratio", 0.5, "--data", folder / "plain.npz")
    assert outcome.code == 0, outcome.err
    assert "1 of 2 blocks left out" in outcome.out


def test_training_adds_to_what_the_step_says(folder: Path) -> None:
    flags = ["--structure", "channel", "--epochs", 1, "--lr", 0.01, "--data", folder / "data.npz"]
    outcome = prune(folder, *flags)
    assert outcome.code == 0, outcome.err
    assert "in 3 of 3 groups; 3 of them can lose no more: round-to=8, 1 epoch, loss" in " ".join(
        outcome.out.split()
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--structure", "chanel"], "'head' or 'depth'; did you mean 'channel'?"),
        (["--ratio", 1], "up to but not including 1"),
        (["--ratio", 50], "did you mean 0.5?"),
        (["--macs", 0], "above 0 and below 1, or a whole number"),
        (["--macs", 0.01], "can't be met: 161,360 are left when all goes that may"),
        (["--macs", 0.01], "lower round-to or allow more"),
        (["--macs", 0.5, "--ratio", 0.4], "macs decides how much is pruned; leave out ratio"),
        (["--macs", 0.5, "--parameters", 0.4], "give one of parameters and macs"),
        (["--round-to", 0], "round-to is 0"),
        (["--at-most", 1.5], "at-most is 1.5"),
        (["--threshold", 0.5], "threshold needs structure=unstructured or n:m or block"),
        (["--pattern", "1:4"], "pattern needs structure=n:m"),
        (["--layers", "a9"], "no layer called 'a9'"),
        (["--criterion", "l3"], "did you mean"),
        (["--recalibrate", "batch-norm"], "recalibrate=batch-norm needs data"),
        (["--schedule", "polynomial", "--epochs", 1], "takes parts out of the graph"),
        (["--step", "saliency-pruning:structure=channel"], "criterion=taylor needs data"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, flags: list[object], said: str) -> None:
    if "--step" not in flags and "--structure" not in flags:
        flags = ["--structure", "channel", *flags]
    outcome = prune(folder, *flags)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert not (folder / "out.onnx").exists()


def test_saliency_without_labels_is_an_error(folder: Path) -> None:
    spec = "saliency-pruning:structure=channel,criterion=taylor"
    outcome = prune(folder, "--step", spec, "--data", folder / "plain.npz")
    assert outcome.code == 2
    assert "labels" in outcome.err


def test_nothing_to_cut_is_a_warning_with_reasons(folder: Path) -> None:
    outcome = prune(folder, "--structure", "channel", "--layers", "fc")
    assert outcome.code == 0
    said = " ".join(outcome.out.split())
    assert "10 of its channels can't be cut: it is the output 'fc' of the model" in said
    assert "magnitude-pruning changed nothing" in said + outcome.err


def test_inspect_shows_the_groups(folder: Path) -> None:
    outcome = run("inspect", folder / "m.onnx", "--groups")
    assert outcome.code == 0
    rows = [line.split() for line in outcome.out.splitlines()]
    assert ["stem", "16", "stem,", "b1,", "b2", "a1,", "a2,", "fc"] in rows
    assert "3 channel groups" in outcome.out
