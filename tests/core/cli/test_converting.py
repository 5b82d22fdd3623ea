"""``convert``: what it writes, and a batch size that is made free."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxpress import Model
from tests.core.cli.running import run
from tests.graphs import proto


@pytest.fixture
def fixed(tmp_path: Path) -> Path:
    text = "g (float[1,2,3] x, float[2,1,3] h) => (float[1,6] y) { {} y = Reshape(s, size) }"
    body = "t = Transpose<perm=[1,0,2]>(h) s = Add(x, t)"
    made = proto(text.replace("{}", body), size=np.array([1, 6], np.int64))
    onnx.save(made, tmp_path / "fixed.onnx")
    return tmp_path / "fixed.onnx"


def test_a_batch_size_is_made_free(fixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "free.onnx"
    outcome = run("convert", fixed, "-o", out, "--dynamic-batch", "--batch-axis", "h=1")
    assert outcome.code == 0, outcome.err
    assert "any number of samples now (x: float32[batch, 2, 3], h: float32[2, batch, 3])" in (
        " ".join((outcome.out + outcome.err).split())
    )
    feeds = {"x": np.ones((5, 2, 3), np.float32), "h": np.ones((2, 5, 3), np.float32)}
    assert Model.load(out).run(feeds)["y"].shape == (5, 6)
    again = run(
        "convert", out, "-o", tmp_path / "again.onnx", "--dynamic-batch", "--batch-axis", "h=1"
    )
    assert "its batch size was free already" in again.out + again.err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--dynamic-batch"], 1, "'h' is float32[2, 1, 3]"),
        (["--batch-axis", "h=1"], 2, "--batch-axis is for --dynamic-batch"),
        (["--dynamic-batch", "--batch-axis", "h"], 2, "write NAME=AXIS"),
        (["--dynamic-batch", "--batch-axis", "k=1"], 2, "there is no input called 'k'"),
        (["--dynamic-batch", "--batch-axis", "h=3"], 2, "input 'h' has no axis 3"),
    ],
)
def test_what_can_not_be_is_said(
    fixed: Path, tmp_path: Path, args: list[str], code: int, said: str
) -> None:
    outcome = run("convert", fixed, "-o", tmp_path / "out.onnx", *args)
    assert outcome.code == code
    assert said in " ".join(outcome.err.split())
    assert not (tmp_path / "out.onnx").exists()
