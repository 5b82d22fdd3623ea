"""``finetune`` and ``train``: what they print, what they refuse, and going on after a kill."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxpress import Model
from tests.core.cli.running import run
from tests.core.cli.test_bad_input import files, refused
from tests.core.training.nets import convnet, images, mlp, samples
from tests.graphs import graph, normal, proto


def save(folder: Path, arrays: Any) -> None:
    np.savez(folder / "data.npz", **arrays)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an MLP, model.onnx, and labelled data for it, data.npz."""
    mlp().save(tmp_path / "model.onnx")
    save(tmp_path, samples())
    return tmp_path


def args(
    folder: Path, *more: object, verb: str = "finetune", model: str = "model.onnx"
) -> list[Any]:
    return [verb, folder / model, "-o", folder / "out.onnx", "--data", folder / "data.npz", *more]


def test_what_training_did_is_one_line_and_only_what_was_given_is_repeated(folder: Path) -> None:
    flags = ("--epochs", 3, "--lr", 0.05, "--optimizer", "sgd:momentum=0.9", "--batch", 8)
    outcome = run(*args(folder, *flags, "--holdout", 0.25))
    assert outcome.code == 0, outcome.err
    lines = [line.rstrip() for line in outcome.out.splitlines()]
    given = lines.index("  epochs=3,batch=8,optimizer=sgd:momentum=0.9,lr=0.05,holdout=0.25")
    assert re.fullmatch(r"finetune  \d+\.\d s, 1 changed", lines[given - 1])
    number = r"\d\.?\d*"
    line = rf"  3 epochs, loss {number} → {number}, score {number} → {number}( \(epoch \d kept\))?"
    assert re.fullmatch(line, lines[given + 1])
    assert outcome.err == f"wrote {folder / 'out.onnx'}\n"  # no bars: this is no terminal


def test_the_report_keeps_every_option_and_figure(folder: Path) -> None:
    outcome = run(*args(folder, "--epochs", 2, "--json"))
    (step,) = json.loads(outcome.out)["steps"]
    assert step["options"]["train"]["lr"] == 1e-3
    assert step["options"]["train"]["optimizer"]["use"] == "adamw"
    (changed,) = step["changed"]
    details = changed["details"]
    assert details["epochs"] == 2
    assert details["tensors"] == 4
    assert details["loss"] < details["loss at first"]
    assert details["cross-entropy"] == details["loss"]
    assert step["summary"].startswith("2 epochs, loss 1.")


@pytest.mark.parametrize("verb", ["finetune", "train"])
def test_the_report_is_a_recipe_that_gives_the_same_bytes(verb: str, folder: Path) -> None:
    flags = ("--epochs", 2, "--batch", 8, "--augment", "noise", "--objective", "cross-entropy",
             "--objective", "l2:weight=0.001", "--schedule", "step:every=1", "--seed", 4,
             "--report", folder / "r.json")  # fmt: skip
    assert run(*args(folder, *flags, verb=verb)).code == 0
    again = (
        "compress",
        folder / "model.onnx",
        "-o",
        folder / "2.onnx",
        "--recipe",
        folder / "r.json",
    )
    outcome = run(*again)
    assert outcome.code == 0, outcome.err
    assert (folder / "2.onnx").read_bytes() == (folder / "out.onnx").read_bytes()


def test_help_shows_the_train_block_as_flags_and_no_wall(folder: Path) -> None:
    text = run("finetune", "--help").out
    for flag in ("--epochs", "--lr", "--optimizer", "--no-shuffle", "--patience", "--checkpoint"):
        assert flag in text
    assert "beta1" not in text
    assert "default adamw" in text
    assert "--initializer" not in text
    assert "default kaiming" in run("train", "--help").out


def test_train_begins_from_random_weights(folder: Path) -> None:
    outcome = run(*args(folder, "--epochs", 30, "--lr", 0.05, verb="train"))
    assert outcome.code == 0, outcome.err
    one = Model.load(folder / "out.onnx").layers[0].weight.array()
    assert np.abs(one - mlp().layers[0].weight.array()).mean() > 0.1
    found = Model.load(folder / "out.onnx").run({"x": samples()["x"]})["y"].argmax(1)
    assert (found == samples()["labels"]).mean() > 0.9


def relu_of_x(folder: Path) -> str:
    graph("g (float[N,6] x) => (float[N,6] y) { y = Relu(x) }").save(folder / "bad.onnx")
    return "bad.onnx"


def integer_weight(folder: Path) -> str:
    text = """g (float[N,6] x) => (float[N,3] y) {
        s = Constant<value = float {0.1}>() z = Constant<value = int8 {0}>()
        d = DequantizeLinear(w, s, z) y = MatMul(x, d)
    }"""
    graph(text, w=np.ones((6, 3), np.int8)).save(folder / "bad.onnx")
    return "bad.onnx"


def no_path(folder: Path) -> str:
    text = "g (float[N,6] x) => (float[N,3] y) { h = MatMul(x, w) y = Round(h) }"
    graph(text, w=normal(6, 3)).save(folder / "bad.onnx")
    return "bad.onnx"


def no_rule(folder: Path) -> str:
    text = """g (float[N,6] x) => (float[N,3] y) {
        a = MatMul(x, w) f = com.microsoft.FastGelu(a) y = Gemm(f, v, b)
    }"""
    made = proto(text, w=normal(6, 4), v=normal(4, 3), b=normal(3))
    for node, name in zip(made.graph.node, ("first", "the gelu", "last"), strict=True):
        node.name = name
    onnx.save(made, folder / "bad.onnx")
    return "bad.onnx"


def two_at_once(folder: Path) -> str:
    graph("g (float[2,6] x) => (float[2,3] y) { y = MatMul(x, w) }", w=normal(6, 3)).save(
        folder / "bad.onnx"
    )
    return "bad.onnx"


def usual(_folder: Path) -> str:
    return "model.onnx"


@pytest.mark.parametrize(
    ("make", "flags", "code", "said"),
    [
        (relu_of_x, [], 2, ["there is nothing to train", "the model has no layers with weights"]),
        (integer_weight, [], 2, ["nothing to train", "stores floating-point weights"]),
        (no_path, [], 2, ["the loss depends on none of the parameters that are to be trained"]),
        (
            no_rule,
            [],
            1,
            [
                "no gradient rule for com.microsoft.FastGelu (opset 1) at 'the gelu'",
                "a plugin can add one (hook onnxpress_rules",
                "to train only layers that need no such rule, give train-layers: last",
            ],
        ),
        (
            two_at_once,
            ["--batch", 8],
            2,
            ["batch=8: the model takes 2 at once", "dimension 0 of input 'x' is 2", "dynamic"],
        ),
        (usual, ["--lr", 1e30], 1, ["training stopped: ", "not finite at update ", "of epoch 1)"]),
        (usual, ["--lr", 0], 2, ["finetune: train.lr is 0; it must be above 0"]),
        (usual, ["--epochs", "many"], 2, ["train.epochs is 'many'; it must be a whole number"]),
        (usual, ["--optimizer", "adamv"], 2, ["no optimizer called 'adamv'; did you mean 'adam"]),
        (usual, ["--schedule", "cosine:warm=1"], 2, ["no option of cosine called 'warm'"]),
        (usual, ["--objective", "mse"], 2, ["there is no objective called 'mse'"]),
        (usual, ["--train-layers", "z*"], 2, ["there is no layer called 'z*'"]),
        (usual, ["--patience", 2], 2, ["patience needs data to measure on", "holdout=0.1"]),
        (usual, ["--augment", "crop"], 2, ["crop"]),
        (usual, ["--checkpoint", "{folder}/no/c"], 2, ["can't write the checkpoint", "no folder"]),
        (usual, ["--checkpoint", "{folder}/data.npz"], 2, ["is no checkpoint of onnxpress"]),
        (usual, ["--provider", "MoonExecutionProvider"], 2, ["has no MoonExecutionProvider here"]),
    ],
)
def test_what_can_not_be_trained(
    make: Any, flags: list[Any], code: int, said: list[str], folder: Path
) -> None:
    model = make(folder)
    given = [str(flag).format(folder=folder) for flag in flags]
    message = refused(folder, code, *args(folder, *given, model=model))
    assert all(part in message for part in said), message


def test_the_layers_that_a_missing_rule_leaves_can_be_trained(folder: Path) -> None:
    model = no_rule(folder)
    outcome = run(*args(folder, "--train-layers", "last", model=model))
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize(
    ("arrays", "code", "said"),
    [
        ({"x": normal(8, 6), "labels": np.arange(8)}, 1, ["0 to 2"]),
        ({"x": normal(8, 6), "labels": normal(8, 4)}, 1, ["labels of the first batch", "(8, 4)"]),
        ({"x": normal(8, 6)}, 2, ["training needs labels", "name the array with labels=…"]),
        ({"x": np.full((8, 6), np.nan, np.float32), "labels": np.arange(8) % 3}, 1, ["NaN"]),
    ],
)
def test_data_that_can_not_be_trained_on(
    arrays: Any, code: int, said: list[str], folder: Path
) -> None:
    np.savez(folder / "data.npz", **arrays)
    message = refused(folder, code, *args(folder))
    assert all(part in message for part in said), message


def test_training_without_data(folder: Path) -> None:
    message = refused(folder, 2, "finetune", folder / "model.onnx", "-o", folder / "out.onnx")
    assert "finetune needs data; give some with --data" in message


def test_a_checkpoint_of_another_model(folder: Path) -> None:
    flags = ("--checkpoint", folder / "c.npz")
    assert run(*args(folder, *flags)).code == 0
    convnet().save(folder / "other.onnx")
    save(folder, images())
    message = refused(folder, 2, *args(folder, *flags, model="other.onnx"))
    assert "c.npz is a checkpoint of another run: its model was" in message
    assert "remove the file to begin anew, or name another with checkpoint=…" in message


def kill_in_the_middle(command: list[str], checkpoint: Path, least: int) -> None:
    """Start a command, and kill it when a checkpoint says that it has come so far."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None and not (checkpoint.exists() and updates(checkpoint) >= least):
        time.sleep(0.005)
    assert process.poll() is None, process.stderr and process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def updates(checkpoint: Path) -> int:
    with open(checkpoint, "rb") as stream, np.load(stream) as file:
        return int(json.loads(str(file["meta"]))["position"]["updates"])


def test_a_fit_that_was_killed_goes_on_bit_for_bit(tmp_path: Path) -> None:
    convnet().save(tmp_path / "model.onnx")
    save(tmp_path, images(150))
    flags = (
        "--epochs", 6, "--batch", 7, "--lr", 0.05, "--optimizer", "sgd:momentum=0.9",
        "--accumulate", 2, "--average", 0.9, "--augment", "flip", "--augment", "noise",
        "--holdout", 0.2, "--patience", 5, "--threads", 1, "--quiet",
    )  # fmt: skip
    whole = args(tmp_path, *flags)
    assert run(*whole).code == 0
    wanted = (tmp_path / "out.onnx").read_bytes()
    (tmp_path / "out.onnx").unlink()

    checkpoint = tmp_path / "c.npz"
    more = ("--checkpoint", checkpoint, "--checkpoint-every", 1)
    command = [sys.executable, "-m", "onnxpress.cli", *map(str, (*whole, *more))]
    kill_in_the_middle(command, checkpoint, 5)
    assert not (tmp_path / "out.onnx").exists()
    kill_in_the_middle(command, checkpoint, updates(checkpoint) + 12)
    outcome = run(*whole, *more)
    assert outcome.code == 0, outcome.err
    result = (tmp_path / "out.onnx").read_bytes()
    assert weights_of(result) == weights_of(wanted)
    assert {p.name for p in tmp_path.iterdir() if not p.name.endswith(".tmp")} == {
        "model.onnx", "data.npz", "out.onnx", "c.npz",
    }  # fmt: skip


def weights_of(model: bytes) -> dict[str, bytes]:
    graph = onnx.load_from_string(model).graph
    return {tensor.name: tensor.raw_data for tensor in graph.initializer}


def test_nothing_is_left_behind_by_a_refusal(folder: Path) -> None:
    before = files(folder)
    run(*args(folder, "--lr", 1e30, "--checkpoint", folder / "c.npz"))
    assert files(folder) == before
