"""Runtimes that misbehave, each in its own way, and one that behaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from onnxpress.contract import Availability, Executable, Runtime
from onnxpress.data.batch import Array, Feeds
from onnxpress.errors import ModelError


class Echo(Executable):
    """Gives back what it is fed, after a while; notes every run in a file beside the model."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name("order.txt")
        with path.with_name("pids.txt").open("a") as pids:
            pids.write(f"{os.getpid()}\n")

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        with self._log.open("a") as log:
            log.write(f"{self._path.stem}\n")
        time.sleep(0.001)
        return {f"{name} out": array for name, array in feeds.items()}

    @property
    def details(self) -> Mapping[str, Any]:
        affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        return {"affinity": affinity, "modules": sorted(sys.modules), "pid": os.getpid()}


class Vanishing(Echo):
    """Is gone after some runs, as a device may be."""

    runs = 0

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        self.runs += 1
        if self.runs > 30:
            raise ModelError("the device is gone")
        return super().__call__(feeds)


class Fake(Runtime):
    name: ClassVar[str] = "fake"

    @classmethod
    def probe(cls) -> Availability:
        return Availability(usable=True)

    def prepare(self, path: Path, threads: int) -> Executable:
        print("a library prints to standard output")
        return Echo(path)


class Untimed(Fake):
    name: ClassVar[str] = "untimed"
    timing: ClassVar[Literal["real", "emulated", "none"]] = "none"


class Unusable(Fake):
    name: ClassVar[str] = "unusable"

    @classmethod
    def probe(cls) -> Availability:
        return Availability(usable=False, reason="no such device; plug it in")


class BrokenProbe(Fake):
    name: ClassVar[str] = "broken-probe"

    @classmethod
    def probe(cls) -> Availability:
        raise RuntimeError("no driver")


class Picky(Fake):
    """Fails, in the way that the model's name says."""

    name: ClassVar[str] = "picky"

    def prepare(self, path: Path, threads: int) -> Executable:
        match path.stem:
            case "refused":
                raise ModelError("it has no kernel for 'Foo'")
            case "raises":
                raise ValueError("something unforeseen")
            case "memory":
                raise MemoryError
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "abort":
                os.write(2, b"terminate called after throwing std::bad_alloc\n")
                os.abort()
            case "later":
                return Vanishing(path)
            case "exits":
                os._exit(3)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hangs":
                subprocess.Popen(["sleep", "600"])  # as a runtime that starts a helper does
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
                time.sleep(600)
        return Echo(path)


class Hungry(Fake):
    """Holds 200 MB."""

    name: ClassVar[str] = "hungry"

    def prepare(self, path: Path, threads: int) -> Executable:
        return _Holding(path)


class _Holding(Echo):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._held = np.ones(200_000_000, dtype=np.uint8)

    @property
    def details(self) -> Mapping[str, Any]:
        import psutil

        return {"rss_mb": psutil.Process().memory_info().rss / 1e6}
