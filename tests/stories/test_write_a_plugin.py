"""docs/write-a-plugin.md, done as it says: its files, its commands, its outputs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "write-a-plugin.md"
FENCE = re.compile(r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
ANYTHING = "…"

pytestmark = pytest.mark.slow


class Block(NamedTuple):
    language: str
    title: str
    text: str


class Command(NamedTuple):
    line: str
    output: str
    code: int


def blocks() -> Iterator[Block]:
    return (Block(*match.groups("")) for match in FENCE.finditer(PAGE.read_text()))


def commands(block: Block) -> Iterator[Command]:
    """Split a console block at its prompts; its title may tell the exit code."""
    code = int(block.title.removeprefix("exit code ") or 0)
    for text in block.text.split("$ ")[1:]:
        line, _, output = text.partition("\n")
        yield Command(line, output.strip(), code)


def pattern(output: str) -> str:
    """Return what the output must match; spaces and line breaks are all the same."""
    parts = (" ".join(part.split()) for part in output.split(ANYTHING))
    return ".*".join(map(re.escape, parts))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A fresh environment with onnxpress installed; libraries are borrowed from this one."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = sysconfig.get_path("purelib", "venv", {"base": str(folder)})
    Path(site, "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    variables = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST", "ONNX"))},
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "200",
        "NO_COLOR": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as: no isolation
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", str(ROOT)]
    subprocess.run(pip, check=True, env=variables, cwd=folder)
    return variables


def test_the_page_works_as_it_stands(environment: dict[str, str], tmp_path: Path) -> None:
    for block in blocks():
        if block.language != "console":
            file = tmp_path / block.title
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.text)
            continue
        for command in commands(block):
            done = subprocess.run(
                command.line,
                shell=True,
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            shown = f"$ {command.line}\n{done.stdout}"
            assert done.returncode == command.code, shown
            # Tables break lines where they like.
            printed = " ".join(done.stdout.split())
            assert re.search(pattern(command.output), printed, re.DOTALL), shown


def test_every_file_of_the_page_is_named() -> None:
    assert all(block.title for block in blocks() if block.language != "console")
    assert sum(len(list(commands(b))) for b in blocks() if b.language == "console") >= 10
