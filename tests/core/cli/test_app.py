"""The list of verbs, the help, and what everybody shares."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.core.cli.running import run, use_fake_steps

VERBS = (
    "compress", "prune", "quantize", "finetune", "train", "convert", "demo", "inspect", "compare",
    "benchmark", "plugins", "runtimes",
)  # fmt: skip


def test_help_names_every_verb() -> None:
    outcome = run("--help")
    assert outcome.code == 0
    assert all(f" {verb} " in outcome.out for verb in VERBS)
    assert "Exit codes: 0 done" in outcome.out


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_verb_has_help(verb: str, flag: str) -> None:
    outcome = run(verb, flag)
    assert outcome.code == 0
    assert "Usage: onnxpress" in outcome.out


@pytest.mark.parametrize("verb", [v for v in VERBS if v != "convert"])
def test_every_verb_that_prints_has_json(verb: str) -> None:
    assert "--json" in run(verb, "--help").out


def test_version() -> None:
    assert run("--version").out == f"onnxpress {version('onnxpress')}\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["prun"], "Did you mean 'prune'"),
        (["compress"], "Missing argument"),
        (["prune", "m.onnx", "--sparsty", "0.5"], "--sparsity"),
        (["inspect", "m.onnx", "--dim", "batch"], "there is no file"),
        ([], ""),
    ],
)
def test_wrong_use_leaves_with_2(args: list[str], said: str) -> None:
    outcome = run(*args)
    assert outcome.code == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_flags_are_the_options_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    use_fake_steps(monkeypatch)
    text = run("prune", "--step", "dampen", "--help").out
    assert "Multiply weights by a number." in text
    assert "--by" in text
    assert "The number [a factor]. [at least 0 and less than 1; default 0.5]" in text
    assert "all|first" in text
    assert "--only-large" in text
    assert "--no-only-large" in text
    assert "Only these. [may be repeated]" in text


def test_the_default_steps_have_their_flags() -> None:
    assert "--sparsity" in run("prune", "--help").out
    assert "--activations" in run("quantize", "--help").out


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m onnxpress.cli prune --help | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
