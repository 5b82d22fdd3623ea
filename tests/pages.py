"""Running what a page of the documentation says."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

from onnxpress import Model
from onnxpress.data.batch import Array
from tests.conftest import ROOT
from tests.core.cli.running import run
from tests.graphs import normal, proto

DOCS = ROOT / "docs"
ANYTHING = "…"
_FENCE = re.compile(r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    title: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return (Block(*match.groups("")) for match in _FENCE.finditer(text))


def check_console(block: Block) -> int:
    """Run the commands of a console block in this process; return how many there were."""
    wanted_code = int(block.title.removeprefix("exit code ") or 0)
    examples = block.text.split("$ ")[1:]
    for example in examples:
        line, _, output = example.partition("\n")
        code, said = _executed(shlex.split(line))
        assert code == wanted_code, f"{line}\n{said}"
        if output.strip():
            assert re.fullmatch(_pattern(output), " ".join(said.split()), re.DOTALL), said
    return len(examples)


def check_page(page: str, folder: Path) -> int:
    """Do all that a page says, in its order, in the working folder; return how many commands.

    Args:
        page: Its name in ``docs/``.
        folder: The working folder, where its files are put.
    """
    digits(folder)
    commands = 0
    for block in blocks(page):
        if block.title.endswith(".toml"):
            (folder / block.title).write_text(block.text)
        elif block.language == "console":
            commands += check_console(block)
        elif block.language == "python":
            exec(block.text, {})
    return commands


def check_pycon(page: str) -> int:
    """Run all interactive examples of a page, one after another; return how many there were."""
    text = "\n".join(block.text for block in blocks(page) if block.language == "pycon")
    examples = doctest.DocTestParser().get_doctest(text, {}, page, str(DOCS / page), 0)
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(examples, out=said.append)
    assert not result.failed, "".join(said)
    return result.attempted


def _executed(command: list[str]) -> tuple[int, str]:
    if command[0] == "onnxpress":
        outcome = run(*command[1:])
        return outcome.code, outcome.out + outcome.err
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def _pattern(output: str) -> str:
    """Return what the output must match; spaces and line breaks are all the same."""
    return ".*".join(
        r"\s*".join(map(re.escape, " ".join(part.split()).split(" ")))
        for part in output.strip().split(ANYTHING)
    )


def digits(folder: Path) -> None:
    """Write a small classifier of 8 × 8 images, and data on which it is always right."""
    made = proto(
        '<ir_version: 8, opset_import: ["": 17]> digits (float[N,1,8,8] x) => (float[N,10] scores) '
        "{ c = Conv(x, cw, cb)\n r = Relu(c)\n p = GlobalAveragePool(r)\n f = Flatten(p)\n"
        " scores = Gemm(f, fw, fb) }",
        cw=normal(8, 1, 3, 3),
        cb=normal(8),
        fw=normal(8, 10),
        fb=normal(10) / 4,
    )
    onnx.save(made, folder / "digits.onnx")
    model = Model.load(folder / "digits.onnx")
    for name, seed in {"train": 1, "test": 2}.items():
        rng = np.random.default_rng(seed)
        brightness = rng.random((200, 1, 1))  # so that classes differ
        pixels = (rng.integers(0, 256, (200, 8, 8)) * brightness).astype(np.uint8)
        np.savez(folder / f"{name}.npz", x=pixels, y=_classes(model, pixels))


def _classes(model: Model, pixels: Array) -> Array:
    scores = model.run({"x": pixels[:, None].astype(np.float32) / 255})["scores"]
    labels: Array = scores.argmax(axis=1)
    return labels
