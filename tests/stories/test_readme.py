"""The README is a promise: what it says can be typed works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from onnxpress import demo
from tests.core.cli.running import run

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_ci_runs_the_test_command_of_the_readme_to_the_letter() -> None:
    command = next(block.strip() for block in blocks("bash") if "pytest" in block)
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder: a model and two sets of channel-last images."""
    assets = Path(demo.__file__).parent / "assets"
    (tmp_path / "model.onnx").write_bytes((assets / "fashion_mnist_cnn.onnx").read_bytes())
    for name, asset in (("train", "train"), ("test", "test")):
        with np.load(next(assets.glob(f"*{asset}*.npz"))) as arrays:
            images, labels = arrays["x"], arrays["y"]
        np.savez(tmp_path / f"{name}.npz", x=images.reshape(-1, 28, 28, 1), y=labels)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_job_in_python(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = blocks("python")
    exec(compile(program, "README.md", "exec"), {})
    assert (folder / "small.onnx").stat().st_size < 0.35 * (folder / "model.onnx").stat().st_size
    printed = capsys.readouterr().out
    assert "top-1" in printed
    assert "small.onnx" in printed


@pytest.mark.slow
def test_the_jobs_in_the_shell(folder: Path) -> None:
    (text,) = (block for block in blocks("bash") if "inspect" in block)
    for line in text.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line)
        assert program == "onnxpress"
        outcome = run(*arguments)
        assert outcome.code == 0, f"{line}\n{outcome.err}"
    assert {path.stem for path in folder.glob("*.onnx")} == {"model", "small", "pruned", "tuned"}
