"""A worker process, seen from the one who started it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Any, Final

_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from onnxpress.measure.worker import main; main()"
)
_DOING: Final = {
    "start": "starting the runtime",
    "load": "loading the model and running it once",
    "warm_up": "warming up",
    "time": "being timed",
    "run": "running on the data",
}
_PATIENCE: Final = 5.0  # seconds that a worker gets to end by itself


class WorkerError(Exception):
    """A worker said no, died or never answered; the message is for the report."""


class Process:
    """A fresh interpreter that runs `onnxpress.measure.worker`.

    Nothing of it outlives the ``with`` block: it has a process group of its own, which
    is killed with whatever the runtime started in it.

    Args:
        folder: Where its error output may be kept while it runs.
        threads: How many threads its libraries may take by themselves.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, folder: Path, threads: int, timeout: float) -> None:
        self._timeout = timeout
        self._log = folder / "stderr"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-X", "utf8", "-c", _PROGRAM, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(threads),
                encoding="utf-8",
                start_new_session=True,
            )
        self._answers: SimpleQueue[str] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have the worker do something, and return what it answers.

        Raises:
            WorkerError: If it could not, died, or did not answer in time; it has ended then,
                unless it said itself that it could not.
        """
        with contextlib.suppress(OSError):  # a dead worker is noticed when it does not answer
            self._send(json.dumps({"do": do, **arguments}) + "\n")
        try:
            line = self._answers.get(timeout=self._timeout)
        except Empty:
            self._end()
            raise WorkerError(
                f"no answer for {self._timeout:g} s while {_DOING[do]}; it was ended"
            ) from None
        if not line:
            raise WorkerError(f"{self._cause_of_death()} while {_DOING[do]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._end()  # nobody waits for what it still does
        self.close()

    def close(self) -> None:
        """Let the worker finish, or end it if it does not."""
        try:
            with contextlib.suppress(OSError):
                self._stdin().close()
            self._reader.join(_PATIENCE)  # it ends when the worker does
        finally:
            self._end()

    def _send(self, line: str) -> None:
        self._stdin().write(line)
        self._stdin().flush()

    def _stdin(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _read(self) -> None:
        """Pass on answers as they come; an empty one says that there will be no more."""
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                self._answers.put(line)
        self._answers.put("")

    def _end(self) -> None:
        """Kill the worker and all that it started."""
        if sys.platform == "win32":
            self._process.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _cause_of_death(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f" ({said[-1].strip()})" if said else ""
        return describe_exit(self._process.returncode) + last


def describe_exit(code: int | None) -> str:
    """Say in words how a process ended that should not have."""
    if code is None:
        return "it closed its end of the line"
    if code >= 0:
        return f"it ended with exit code {code}"
    name = signal.Signals(-code).name
    if -code == getattr(signal, "SIGKILL", None):
        return f"it was killed by the system ({name}), most often because memory ran out"
    return f"it crashed: {name}, {signal.strsignal(-code)}"


def _environment(threads: int) -> dict[str, str]:
    """The environment of a worker: no telemetry, and no more threads than asked for."""
    counts = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    quiet = {"ORT_DISABLE_TELEMETRY": "1"}
    return {**os.environ, **quiet, **dict.fromkeys(counts, str(threads))}
