"""One model on one runtime: its process, and what was measured of it so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Literal

from onnxpress.errors import OnnxpressError
from onnxpress.measure.arrays import read_arrays, write_arrays
from onnxpress.measure.cpus import choose_cpus
from onnxpress.measure.process import Process, WorkerError

if TYPE_CHECKING:
    from onnxpress.data.batch import Array


@dataclass(frozen=True, slots=True)
class Case:
    """One model on one runtime, to be measured.

    Attributes:
        model: What the model is called.
        path: Its file.
        bytes_stored: The size of the file and of the external data it refers to.
        runtime: What the runtime is called.
        runtime_class: Where the worker finds it: ``module:Class``.
        timing: What its wall time is worth.
        feeds: The file with the inputs to time it on.
        batch: How many samples those are.
        threads: How many threads it may use.
    """

    model: str
    path: Path
    bytes_stored: int
    runtime: str
    runtime_class: str
    timing: Literal["real", "emulated", "none"]
    feeds: Path
    batch: int
    threads: int


@dataclass
class Contender:
    """A case that is being measured; it drops out at the first failure.

    Attributes:
        case: What is measured.
        failure: Why it dropped out; empty as long as it takes part.
        latency: About how long one run takes, in seconds.
        load_seconds: How long each loading took.
        rounds: The times of all runs of each round, in nanoseconds.
        base_memory_mb: What the process held before it loaded the model.
        peak_memory_mb: The most it held until it was warm.
        details: What the runtime says about itself and the model.
    """

    case: Case
    failure: str = ""
    latency: float = 0.0
    load_seconds: list[float] = field(default_factory=list)
    rounds: list[list[int]] = field(default_factory=list)
    base_memory_mb: float | None = None
    peak_memory_mb: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    _process: Process | None = None
    _arrays: Path = Path()

    @property
    def alive(self) -> bool:
        """Whether it still takes part."""
        return not self.failure

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something with it, unless it dropped out; what goes wrong makes it drop out."""
        if not self.alive:
            return
        try:
            action()
        except (WorkerError, OnnxpressError) as error:
            self.failure = str(error) or type(error).__name__

    def start(self, stack: ExitStack, folder: Path, timeout: float) -> None:
        """Start its process, to be ended by `stack`, and have it import the runtime."""
        own = Path(mkdtemp(dir=folder))
        case = self.case
        self._process = stack.enter_context(Process(own, case.threads, timeout))
        self._arrays = own / "arrays.npz"
        cpus = choose_cpus(case.threads)
        answer = self._ask(
            "start",
            runtime=case.runtime_class,
            path=str(case.path),
            threads=case.threads,
            cpus=list(cpus),
        )
        self.base_memory_mb = answer["base_memory_mb"]

    def warm_up(self, seconds: float) -> None:
        """Load the model and run it until its latency is steady."""
        answer = self._ask("load", feeds=str(self.case.feeds))
        self.load_seconds.append(answer["load_seconds"])
        self.details = answer["details"]
        answer = self._ask("warm_up", seconds=seconds)
        self.latency, self.peak_memory_mb = answer["latency_seconds"], answer["peak_memory_mb"]

    def time(self, seconds: float) -> None:
        """Time one round of it, on a freshly loaded model where that is affordable.

        Where data lies in memory can make a model a little faster or slower for as long
        as it stays loaded.  Loading again averages that out, and gives load times under
        the same conditions; it may take as long as the timing does, all in all.
        """
        timed = sum(map(sum, self.rounds)) / 1e9
        spent = sum(self.load_seconds) + self.load_seconds[-1]
        answer = self._ask("time", seconds=seconds, reload=spent <= timed + seconds)
        self.rounds.append(answer["nanoseconds"])
        if answer["load_seconds"] is not None:
            self.load_seconds.append(answer["load_seconds"])

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run it once in its process and return every output by name."""
        write_arrays(self._arrays, feeds)
        self._ask("run", feeds=str(self._arrays), outputs=str(self._arrays))
        return read_arrays(self._arrays)

    def _ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self._process is not None  # `start` comes first
        return self._process.ask(do, **arguments)
