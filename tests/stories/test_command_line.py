"""The main job on a real model, as a user does it: inspect, quantize, compare, benchmark."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PREPARED = "scale=1/255&mean=.485,.456,.406&std=.229,.224,.225&layout=nchw"


def onnxpress(*args: object, code: int = 0) -> str:
    """Run the installed program in a process of its own; return its stdout."""
    program = shutil.which("onnxpress", path=str(Path(sys.executable).parent))
    assert program is not None
    ended = subprocess.run([program, *map(str, args)], capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout


def cifar(shared: Path, part: str, limit: int) -> str:
    return f"{shared}/data/cifar10_{part}.npz:input=x,labels=y?limit={limit}&{PREPARED}"


def quantized(shared: Path, folder: Path, samples: int) -> dict[str, Any]:
    onnxpress(
        "quantize", shared / "models/cifar10_resnet20/resnet20.onnx", "-o", folder / "int8.onnx",
        "--data", cifar(shared, "train_20k", 256), "--validation", cifar(shared, "test", samples),
        "--report", folder / "r.json",
    )  # fmt: skip
    report: dict[str, Any] = json.loads((folder / "r.json").read_text())
    return report


def test_a_real_classifier_in_8_bits(shared: Path, tmp_path: Path) -> None:
    report = quantized(shared, tmp_path, 500)
    before, after = report["before"], report["after"]
    assert after["metric"]["value"] > before["metric"]["value"] - 0.02
    assert (tmp_path / "int8.onnx").stat().st_size == after["bytes_stored"]
    assert after["bytes_stored"] < 0.31 * before["bytes_stored"]
    table = json.loads(onnxpress("inspect", tmp_path / "int8.onnx", "--json"))
    assert table["macs"] == before["macs"]
    assert [step["name"] for step in table["history"]] == ["linear-quantization"]


@pytest.mark.slow
def test_accuracy_on_all_test_images(shared: Path, tmp_path: Path) -> None:
    report = quantized(shared, tmp_path, 10_000)
    assert report["before"]["metric"]["value"] == pytest.approx(0.9173)
    assert report["after"]["metric"]["value"] >= 0.915
