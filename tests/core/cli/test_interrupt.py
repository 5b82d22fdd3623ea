"""Ctrl-C: the exit code, no traceback, no partial file, no process left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.core.steps import saved

# A step that says that it has begun, and then takes its time.
SLOW = """
import sys, time
sys.path.insert(0, {root!r})
from typing import ClassVar
from onnxpress import Plugins, Transform
from onnxpress.cli import main
from tests.core.steps import plugins
from tests.fakes import offering

class Slow(Transform):
    name: ClassVar[str] = "slow"
    def apply(self, model, job):
        print("begun", file=sys.stderr, flush=True)
        time.sleep(60)

host = plugins()
host.add("slow", offering(Slow))
Plugins.discover = lambda **_: host
main()
"""


def interrupted(*command: object, until: str) -> tuple[int, str, list[psutil.Process]]:
    """Run a command, interrupt it when `until` shows on stderr; return what it left."""
    run = subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert run.stderr is not None
    said = ""
    while until not in said:
        line = run.stderr.readline()
        assert line, said
        said += line
    children = psutil.Process(run.pid).children(recursive=True)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does, to the whole group
    _, rest = run.communicate(timeout=20)
    # A worker that was only just being started notices by itself that nobody asks any more.
    _, left = psutil.wait_procs(children, timeout=10)
    return run.returncode, said + rest, left


def test_a_run_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    script = tmp_path / "slow.py"
    script.write_text(SLOW.format(root=str(ROOT)))
    out = tmp_path / "out.onnx"
    out.write_text("old")
    before = sorted(p.name for p in tmp_path.iterdir())
    args = ("compress", model, "-o", out, "--step", "dampen", "--step", "slow")
    code, said, left = interrupted(sys.executable, script, *args, until="begun")
    assert code == 130, said
    assert said.endswith("interrupted\n")
    assert "Traceback" not in said
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert out.read_text() == "old"
    assert not left


WATCHED = """
import sys
import psutil, threading, time
from onnxpress.cli import main

def watch():
    while not psutil.Process().children(recursive=True):
        time.sleep(0.01)
    print("begun", file=sys.stderr, flush=True)

threading.Thread(target=watch, daemon=True).start()
main()
"""


@pytest.mark.parametrize("verb", ["benchmark"])
def test_processes_end_with_the_one_that_started_them(tmp_path: Path, verb: str) -> None:
    model, _ = saved(tmp_path)
    script = tmp_path / "watched.py"
    script.write_text(WATCHED)
    code, said, left = interrupted(sys.executable, script, verb, model, until="begun")
    assert code == 130, said
    assert "Traceback" not in said
    assert not left
