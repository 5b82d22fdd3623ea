from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from onnxpress.measure.arrays import write_arrays
from onnxpress.measure.process import Process, WorkerError, describe_exit

RUNTIMES = "tests.core.measure.runtimes"


def _start(process: Process, path: Path, runtime: str = "Picky") -> dict[str, object]:
    return process.ask("start", runtime=f"{RUNTIMES}:{runtime}", path=str(path), threads=1, cpus=[])


def _feeds(folder: Path) -> str:
    write_arrays(folder / "feeds.npz", {"x": np.zeros((1, 2), dtype="f")})
    return str(folder / "feeds.npz")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("refused", "^it has no kernel for 'Foo'$"),
        ("raises", "^ValueError: something unforeseen$"),
        ("memory", "^memory ran out$"),
        ("segfault", "^it crashed: SIGSEGV, .+ while loading the model"),
        ("abort", r"^it crashed: SIGABRT, .+ \(.*std::bad_alloc\) while loading"),
        ("killed", r"killed by the system \(SIGKILL\), most often because memory ran out"),
        ("exits", "^it ended with exit code 3 while loading"),
    ],
)
def test_failures_are_told_in_words(tmp_path: Path, model: str, said: str) -> None:
    with Process(tmp_path, threads=1, timeout=60) as process:
        _start(process, tmp_path / f"{model}.onnx")
        with pytest.raises(WorkerError, match=said):
            process.ask("load", feeds=_feeds(tmp_path))


def test_a_worker_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    with Process(tmp_path, threads=1, timeout=60) as process:
        _start(process, tmp_path / "hangs.onnx")
        worker = psutil.Process(process._process.pid)
        process._timeout = 1.0
        with pytest.raises(WorkerError, match="no answer for 1 s while loading the model"):
            process.ask("load", feeds=_feeds(tmp_path))
        assert not worker.is_running()
    _, left = psutil.wait_procs(group(worker.pid), timeout=10)
    assert not left


def group(leader: int) -> list[psutil.Process]:
    """Return the processes of a group that still run."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process.pid) == leader:
                found.append(process)
    return found


def test_leaving_early_ends_the_worker_at_once(tmp_path: Path) -> None:
    process = Process(tmp_path, threads=1, timeout=60)
    _start(process, tmp_path / "hangs.onnx")
    process._send(json.dumps({"do": "load", "feeds": _feeds(tmp_path)}) + "\n")
    process.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert process._process.returncode == -signal.SIGKILL


def test_a_worker_ends_when_the_one_who_started_it_dies(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; "
        "from onnxpress.measure.process import Process; "
        "process = Process(Path(sys.argv[1]), threads=1, timeout=60); "
        "print(process._process.pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    worker = psutil.Process(int(starter.stdout.readline()))
    starter.kill()
    starter.wait()
    starter.stdout.close()
    psutil.wait_procs([worker], timeout=10)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_a_worker_imports_nothing_of_the_graph_model(tmp_path: Path) -> None:
    with Process(tmp_path, threads=1, timeout=60) as process:
        _start(process, tmp_path / "m.onnx", "Fake")
        details = process.ask("load", feeds=_feeds(tmp_path))["details"]
    heavy = {"onnx", "onnx_ir", "sympy", "onnxruntime", "onnxpress.graph.model", "rich"}
    assert not heavy & set(details["modules"])
    assert details["pid"] != os.getpid()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system can't pin")
def test_a_worker_stays_on_the_cpus_it_is_told(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    with Process(tmp_path, threads=1, timeout=60) as process:
        process.ask(
            "start", runtime=f"{RUNTIMES}:Fake", path=str(tmp_path / "m"), threads=1, cpus=[cpu]
        )
        assert process.ask("load", feeds=_feeds(tmp_path))["details"]["affinity"] == [cpu]


def test_memory_is_within_5_percent_of_what_the_system_says(tmp_path: Path) -> None:
    with Process(tmp_path, threads=1, timeout=60) as process:
        base = _start(process, tmp_path / "m.onnx", "Hungry")["base_memory_mb"]
        rss = process.ask("load", feeds=_feeds(tmp_path))["details"]["rss_mb"]
        peak = process.ask("warm_up", seconds=0.0)["peak_memory_mb"]
    assert peak == pytest.approx(rss, rel=0.05)
    assert isinstance(base, float)
    assert peak - base == pytest.approx(200, rel=0.05)


def test_exits_are_described() -> None:
    assert describe_exit(-signal.SIGBUS).startswith("it crashed: SIGBUS")
    assert describe_exit(1) == "it ended with exit code 1"
