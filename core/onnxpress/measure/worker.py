"""The process in which one model runs on one runtime: it does what it is told, and times it.

It is started by `onnxpress.measure.process`, reads one JSON object a line and answers
each with one.  Nothing of the graph model is imported here, so that the memory and the
load time it reports are those of the runtime and the model.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any, Final

from onnxpress.contract import Executable, Runtime
from onnxpress.errors import OnnxpressError
from onnxpress.measure import stopwatch
from onnxpress.measure.arrays import read_arrays, write_arrays
from onnxpress.measure.memory import memory_mb, peak_memory_mb

if TYPE_CHECKING:
    from onnxpress.data.batch import Array

_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG


class Worker:
    """One model on one runtime.

    Every public method is a command; its arguments and its result are JSON.
    """

    def __init__(self) -> None:
        self._runtime: Runtime | None = None
        self._executable: Executable | None = None
        self._path = Path()
        self._threads = 1
        self._feeds: dict[str, Array] = {}
        self._latency = 0.0

    def start(self, runtime: str, path: str, threads: int, cpus: list[int]) -> dict[str, Any]:
        """Pin the process and import what the runtime needs; say what memory that took."""
        if cpus:
            os.sched_setaffinity(0, cpus)
        self._path, self._threads = Path(path), threads
        module, _, name = runtime.partition(":")
        self._runtime = attrgetter(name)(import_module(module))()
        return {"base_memory_mb": memory_mb()}

    def load(self, feeds: str) -> dict[str, Any]:
        """Load the model and run it once; say how long the loading took."""
        assert self._runtime is not None  # `start` comes first
        self._feeds = read_arrays(Path(feeds))
        start = perf_counter()
        self._executable = self._runtime.prepare(self._path, self._threads)
        seconds = perf_counter() - start
        self._executable(self._feeds)
        return {"load_seconds": seconds, "details": dict(self._executable.details)}

    def warm_up(self, seconds: float) -> dict[str, Any]:
        """Run until the latency is steady; say what it and the peak of memory are."""
        self._latency = stopwatch.warm_up(self._run, seconds)
        return {"latency_seconds": self._latency, "peak_memory_mb": peak_memory_mb()}

    def time(self, seconds: float) -> dict[str, Any]:
        """Time runs for `seconds`."""
        nanoseconds = stopwatch.time_slice(self._run, seconds, self._latency)
        self._latency = sum(nanoseconds) / len(nanoseconds) / 1e9
        return {"nanoseconds": nanoseconds}

    def run(self, feeds: str, outputs: str) -> dict[str, Any]:
        """Run once on the arrays in one file and write what comes out to another."""
        write_arrays(Path(outputs), self._loaded()(read_arrays(Path(feeds))))
        return {}

    def close(self) -> None:
        """Give back what the runtime holds."""
        if self._executable is not None:
            self._executable.close()
            self._executable = None

    def _loaded(self) -> Executable:
        assert self._executable is not None  # `load` comes first
        return self._executable

    def _run(self) -> object:
        return self._executable(self._feeds)  # type: ignore[misc]  # hot: `load` came first


def serve(commands: IO[str], answers: IO[str]) -> None:
    """Answer commands until there are no more."""
    worker = Worker()
    for line in commands:
        command = json.loads(line)
        answer = _attempt(getattr(worker, command.pop("do")), command)
        answers.write(json.dumps(answer, default=str) + "\n")
        answers.flush()
    worker.close()


def _attempt(method: Callable[..., dict[str, Any]], arguments: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return method(**arguments)
    except OnnxpressError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "memory ran out"}
    except Exception as error:  # noqa: BLE001  # a runtime may raise anything; it costs one row
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Serve standard input and output, keeping the latter for answers alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started us ends us
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints goes where errors go
    serve(sys.stdin, answers)
