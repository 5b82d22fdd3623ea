"""Checkpoints: a fit that was stopped goes on bit for bit, and only that fit does."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.errors import OnnxpressError, UsageError
from onnxpress.events import Event, Trained
from onnxpress.graph.model import Model
from onnxpress.testing.require import as_bytes
from onnxpress.training.checkpoint import Checkpoint, Position, read_checkpoint
from tests.core.training.fitting import fitted
from tests.core.training.nets import convnet, images, mlp, samples
from tests.graphs import graph, normal

EVERYTHING: dict[str, Any] = {
    "batch": 7,
    "epochs": 4,
    "lr": 0.3,
    "optimizer": "sgd:momentum=0.9",
    "schedule": "one-cycle",
    "augment": ["flip", "noise:std=0.1", "mixup"],
    "accumulate": 2,
    "average": 0.8,
    "holdout": 0.2,
    "patience": 3,
}

OPTIONS: dict[str, Any] = {"batch": 8, "epochs": 2}


class Interrupted(BaseException):
    """What a test stops a fit with."""


def stopped(model: Model, source: Any, after: int, **options: Any) -> None:
    """Begin a fit, and stop it after some batches."""
    done = 0

    def notify(event: Event) -> None:
        nonlocal done
        done += isinstance(event, Trained)
        if done == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        fitted(model, source, notify=notify, **options)


@pytest.mark.parametrize("after", [1, 5, 6, 10, 12, 17])
@pytest.mark.parametrize("every", [None, 1, 2])
def test_a_fit_that_was_stopped_goes_on_bit_for_bit(
    after: int, every: int | None, tmp_path: Path
) -> None:
    source = images(45)  # 36 to train on: five batches of 7 and one of 1 in every epoch
    whole = fitted(convnet(), source, **EVERYTHING)
    options = {**EVERYTHING, "checkpoint": tmp_path / "c.npz", "checkpoint_every": every}
    stopped(convnet(), source, after, **options)
    again = fitted(convnet(), source, **options)
    assert as_bytes(again.model) == as_bytes(whole.model)
    assert again.history == whole.history
    assert again.best_epoch == whole.best_epoch
    assert [path.name for path in tmp_path.iterdir()] == ["c.npz"]


def test_it_really_goes_on(tmp_path: Path) -> None:
    options = {**OPTIONS, "checkpoint": tmp_path / "c", "checkpoint_every": 3}
    stopped(mlp(), samples(), 9, **options)  # the last one is from after update 8
    told: list[Event] = []
    fitted(mlp(), samples(), notify=told.append, **options)
    batches = [(e.epoch, e.batch, e.updates) for e in told if isinstance(e, Trained)]
    assert batches == [(1, n - 5, n) for n in (9, 10)]
    told.clear()
    fitted(mlp(), samples(), notify=told.append, **options)
    assert not told


def test_a_finished_fit_gives_its_result_again(tmp_path: Path) -> None:
    options = {**EVERYTHING, "checkpoint": tmp_path / "c.npz"}
    first, again = (fitted(convnet(), images(), **options) for _ in range(2))
    assert as_bytes(first.model) == as_bytes(again.model)
    assert (first.history, first.best_epoch) == (again.history, again.best_epoch)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A checkpoint of an MLP."""
    path = tmp_path / "c.npz"
    fitted(mlp(), samples(), seed=1, **OPTIONS, checkpoint=path)
    return path


def other_activation() -> Model:
    edit = mlp().edit()
    next(node for node in edit.graph if node.op_type == "Relu").op_type = "Tanh"
    return edit.done()


def other_weight() -> Model:
    edit = mlp().edit()
    edit.set_weight(edit.layers[0].weight, edit.layers[0].weight.array() * np.float32(1.001))
    return edit.done()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": convnet(), "source": images()}, "its model was"),
        ({"model": other_activation()}, "its model was"),
        ({"model": other_weight()}, "its model was"),
        ({"source": samples(41)}, r"its data was .*40 samples.*now it is .*41 samples"),
        ({"source": samples(seed=8)}, "its data was"),
        ({"seed": 2}, "its seed was 1, and now it is 2"),
        ({"lr": 0.1}, r"its lr was 0.001, and now it is 0.1"),
        ({"epochs": 3}, "its epochs was 2, and now it is 3"),
        ({"optimizer": "sgd"}, r"its optimizer was .*adamw.*now it is .*sgd"),
        ({"objective": "cross-entropy:label-smoothing=0.1"}, "its objective was"),
        ({"train_layers": ["y"]}, "its train_layers was"),
    ],
)
def test_only_the_same_fit_goes_on(change: dict[str, Any], said: str, file: Path) -> None:
    wanted = {"model": mlp(), "source": samples(), "seed": 1, **OPTIONS, **change}
    before = file.read_bytes()
    with pytest.raises(UsageError, match=rf"(?s)c.npz is a checkpoint of another run: {said}"):
        fitted(wanted.pop("model"), wanted.pop("source"), **wanted, checkpoint=file)
    assert file.read_bytes() == before


def test_where_it_runs_may_change(file: Path) -> None:
    fitted(mlp(), samples(), seed=1, **OPTIONS, checkpoint=file, checkpoint_every=1, threads=2)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-30],
        lambda data: b"",
        lambda data: b"hello",
        lambda data: data.replace(b"now/w1", b"now/w9"),
        lambda data: data[:900] + bytes(50) + data[950:],
    ],
)
def test_a_damaged_file_is_refused_and_left(spoil: Any, file: Path) -> None:
    file.write_bytes(spoil(file.read_bytes()))
    before = file.read_bytes()
    with pytest.raises(UsageError, match=r"c.npz is (no|a) checkpoint of"):
        fitted(mlp(), samples(), seed=1, **OPTIONS, checkpoint=file)
    assert file.read_bytes() == before


def test_files_of_others_are_refused(file: Path) -> None:
    np.savez(file, x=normal(2, 2))
    with pytest.raises(UsageError, match="is no checkpoint of onnxpress, or it is damaged"):
        fitted(mlp(), samples(), **OPTIONS, checkpoint=file)
    mlp().save(file.with_suffix(".onnx"))
    with pytest.raises(UsageError, match="is no checkpoint of onnxpress"):
        fitted(mlp(), samples(), **OPTIONS, checkpoint=file.with_suffix(".onnx"))
    np.savez(file, allow_pickle=True, meta=np.array([{"a": 1}], object))
    with pytest.raises(UsageError, match="is no checkpoint of onnxpress"):
        fitted(mlp(), samples(), **OPTIONS, checkpoint=file)


def test_slots_of_another_version_are_refused(file: Path) -> None:
    with np.load(file) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    made_by = json.loads(str(arrays["meta"]))["made_by"]
    slots = {
        name.removeprefix("now/"): f"{array.dtype} {array.shape}"
        for name, array in arrays.items()
        if name.startswith("now/")
    }
    assert read_checkpoint(file, made_by, slots) is not None
    with pytest.raises(UsageError, match="another version of onnxpress, which kept other tensors"):
        read_checkpoint(file, made_by, {**slots, "more": "float32 (2,)"})


@pytest.mark.parametrize(
    ("path", "said"),
    [("nowhere/c.npz", "there is no folder"), (".", "it is a folder")],
)
def test_places_that_can_not_be_written_are_refused_before_training(
    path: str, said: str, tmp_path: Path
) -> None:
    told: list[Event] = []
    with pytest.raises(UsageError, match=f"can't write the checkpoint .*{re.escape(said)}"):
        fitted(mlp(), samples(), notify=told.append, checkpoint=tmp_path / path)
    assert not told


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="no permission to write to the folder"):
        fitted(mlp(), samples(), checkpoint=tmp_path / "c.npz")


def test_a_disk_that_is_full_leaves_the_last_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()
    full = OSError(28, "No space left on device")

    def savez(stream: Any, **_arrays: Any) -> None:
        stream.write(b"half of it")
        raise full

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(OnnxpressError, match=r"can't write the checkpoint .*: No space left"):
        Checkpoint({}, Position(), {"w": normal(2, 2)}).save(file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["c.npz"]


def test_weights_in_constants_and_functions_belong_to_the_model(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["": 21, "local": 1]>
        g (float[N,4] x) => (float[N,4] y) {{ h = local.act(x) y = MatMul(h, w) }}
        <domain: "local", opset_import: ["": 21]> act (a) => (c) {{ c = {}(a) }}"""
    source = {"x": normal(8, 4), "labels": normal(8, 4, seed=1)}
    path = tmp_path / "c.npz"
    fitted(graph(text.format("Relu"), w=normal(4, 4)), source, checkpoint=path)
    with pytest.raises(UsageError, match="its model was"):
        fitted(graph(text.format("Tanh"), w=normal(4, 4)), source, checkpoint=path)
