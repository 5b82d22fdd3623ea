"""Bad input: the exit code, a message that helps, no traceback, nothing written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.core.cli.running import Outcome, run
from tests.core.steps import saved
from tests.graphs import normal, proto


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small classifier, model.onnx, and labelled data for it, data.npz."""
    saved(tmp_path)
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(folder: Path, code: int, *args: object) -> str:
    """Run a command that must fail; return what it said."""
    before = files(folder)
    outcome: Outcome = run(*args)
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.startswith("error: ")
    assert "Traceback" not in outcome.err
    assert files(folder) == before
    return outcome.err


def truncated(folder: Path) -> Path:
    data = (folder / "model.onnx").read_bytes()
    return written(folder / "bad.onnx", data[: len(data) // 2])


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def invalid(folder: Path) -> Path:
    made = proto("g (float[N,4] x) => (float[N,4] y) { y = Relux(x) }")
    return written(folder / "bad.onnx", made.SerializeToString())


def without_its_data(folder: Path) -> Path:
    made = proto("g (float[N,64] x) => (float[N,64] y) { y = MatMul(x, w) }", w=normal(64, 64))
    path = folder / "bad.onnx"
    onnx.save(made, path, save_as_external_data=True, location="bad.data", size_threshold=0)
    (folder / "bad.data").unlink()
    return path


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (truncated, 1, "is no ONNX model, or it is cut short or damaged"),
        (lambda f: written(f / "bad.onnx", b"\x00\xffhello, world"), 1, "is no ONNX model"),
        (lambda f: written(f / "bad.onnx", b""), 1, "is empty"),
        (lambda f: written(f / "bad.onnx", b"\x89PNG\r\n"), 1, "it is a PNG image"),
        (invalid, 1, "is Relux, which opset 21 does not have"),
        (without_its_data, 1, "bad.data"),
        (lambda f: f, 2, "(a directory)"),
        (lambda f: f / "modell.onnx", 2, "there is no file"),
    ],
)
@pytest.mark.parametrize("verb", ["prune", "inspect"])
def test_models_that_can_not_be_read(
    folder: Path, make: Any, code: int, said: str, verb: str
) -> None:
    path = make(folder)
    output = ["-o", folder / "out.onnx"] if verb == "prune" else []
    assert said in refused(folder, code, verb, path, *output)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("model.onnx", "the model is read from that file"),
        ("nowhere/out.onnx", "there is no folder"),
        (".", "it is a folder"),
    ],
)
@pytest.mark.parametrize("verb", ["prune", "convert"])
def test_outputs_that_can_not_be_written(folder: Path, output: str, said: str, verb: str) -> None:
    message = refused(folder, 2, verb, folder / "model.onnx", "-o", folder / output)
    assert said in message


def test_a_link_to_the_input_is_the_input(folder: Path) -> None:
    (folder / "link.onnx").symlink_to(folder / "model.onnx")
    assert "is read from" in refused(
        folder, 2, "prune", folder / "model.onnx", "-o", folder / "link.onnx"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o500)
    message = refused(folder, 2, "prune", folder / "model.onnx", "-o", closed / "out.onnx")
    assert "no permission" in message


@pytest.mark.parametrize(
    ("arrays", "code", "said"),
    [
        ({"x": np.full((8, 4), np.nan, np.float32)}, 1, ["'x'", "NaN"]),
        ({"x": normal(8, 5)}, 1, ["'x'", "5", "4"]),
        ({"x": np.array([["a"] * 4] * 8)}, 1, ["'x'"]),
        ({"x": normal(8, 4), "labels": np.arange(7)}, 1, ["labels", "7", "8"]),
        ({"x": normal(8, 4), "labels": np.arange(8)}, 1, ["3 classes, 0 to 2"]),
        ({"x": normal(0, 4), "labels": np.arange(0)}, 1, ["no"]),
    ],
)
def test_data_that_can_not_be_used(
    folder: Path, arrays: dict[str, Any], code: int, said: list[str]
) -> None:
    np.savez(folder / "bad.npz", **arrays)
    args = ("prune", folder / "model.onnx", "-o", folder / "out.onnx")
    message = refused(folder, code, *args, "--validation", folder / "bad.npz")
    assert all(word in message for word in said), message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--metric", "top-1"], "needs data to be measured on: give some with --validation"),
        (["--metric", "top-1", "--data", "{data}"], "--data is what steps calibrate and train on"),
        (["--max-drop", "0.01"], "max-drop limits a metric, which needs data"),
        (["--validation", "{data}", "--metric", "topp"], "there is no metric called 'topp'"),
        (["--sparsity", "1"], "sparsity is 1; "),
        (["--sparsity", "-0.1"], "sparsity is -0.1; "),
        (["--sparsity", "50"], "did you mean 0.5?"),
        (["--sparsity", "half"], "sparsity is 'half'; it must be a number"),
        (["--layers", "MatMull_y"], "there is no layer called 'MatMull_y'"),
        (["--layers", "fc*"], "there is no layer called 'fc*'; known: "),
        (["--step", "magnitude-prunning"], "did you mean 'magnitude-pruning'"),
        (["--validation", "{data}?limit=0"], "limit is a whole number of at least 1"),
        (["--validation", "{data}?limt=1"], "there is no data option called 'limt'"),
        (["--data", "nowhere.npz"], "there is no file or folder 'nowhere.npz'"),
        (["--seed", "-1"], "seed is -1; it must be a whole number of at least 0"),
        (["--report", "r.html"], "only .json is known for now"),
    ],
)
def test_options_that_can_not_be_used(folder: Path, options: list[str], said: str) -> None:
    given = [option.format(data=folder / "data.npz") for option in options]
    args = ("prune", folder / "model.onnx", "-o", folder / "out.onnx", *given)
    assert said in refused(folder, 2, *args)


def test_integers_need_data_to_choose_ranges(folder: Path) -> None:
    message = refused(folder, 2, "quantize", folder / "model.onnx", "-o", folder / "out.onnx")
    assert "needs data; give some with --data" in message


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root, where it may mount, can make a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, small_disk: Path) -> None:
    model = proto("g (float[N,256] x) => (float[N,256] y) { y = MatMul(x, w) }", w=normal(256, 256))
    onnx.save(model, tmp_path / "large.onnx")
    old = written(small_disk / "out.onnx", b"old")
    message = refused(tmp_path, 1, "prune", tmp_path / "large.onnx", "-o", old)
    assert "the disk is full; what was there before is still there" in message
    assert [path.name for path in small_disk.iterdir()] == ["out.onnx"]
