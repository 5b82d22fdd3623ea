"""One model on one runtime: its process, and what was measured of it so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter
from types import TracebackType
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
        inputs: The shapes of those inputs, by name.
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
    inputs: Mapping[str, Sequence[int]]
    batch: int
    threads: int


@dataclass
class Contender:
    """A case that is being measured; it drops out at the first failure.

    Its process may be replaced by a fresh one (`launch`) as often as is liked; leaving
    the ``with`` block ends the last.

    Attributes:
        case: What is measured.
        failure: Why it dropped out; empty as long as it takes part.
        latency: About how long one run takes, in seconds.
        launch_seconds: How long the last launch took, up to being ready to be timed.
        load_seconds: How long loading the model took, in each launch.
        base_memory_mb: What the process held before it loaded the model, in each launch;
            NaN where nothing tells.
        peak_memory_mb: The most it held until it was warm, in each launch.
        rounds: The times of all runs of each round, in nanoseconds.
        launch_of_round: In which launch each round was.
        details: What the runtime says about itself and the model.
    """

    case: Case
    failure: str = ""
    latency: float = 0.0
    launch_seconds: float = 0.0
    load_seconds: list[float] = field(default_factory=list)
    base_memory_mb: list[float] = field(default_factory=list)
    peak_memory_mb: list[float] = field(default_factory=list)
    rounds: list[list[int]] = field(default_factory=list)
    launch_of_round: list[int] = field(default_factory=list)
    details: Mapping[str, Any] = field(default_factory=dict)
    _process: Process | None = None
    _arrays: Path = Path()

    def __enter__(self) -> Contender:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.__exit__(kind, error, trace)

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

    def launch(self, folder: Path, timeout: float, warm_up: float) -> None:
        """End its process, if it has one, and make another ready to be timed.

        Args:
            folder: Where its files may lie.
            timeout: Seconds after which it has failed if it does not answer.
            warm_up: How many seconds to run it at most until its latency is steady.
        """
        started = perf_counter()
        if self._process is not None:
            self._process.close()
        own = Path(mkdtemp(dir=folder))
        self._arrays = own / "arrays.npz"
        self._process = Process(own, self.case.threads, timeout)
        self._start()
        self._warm_up(warm_up)
        self.launch_seconds = perf_counter() - started

    def time(self, seconds: float) -> None:
        """Time one round of it."""
        answer = self._ask("time", seconds=seconds)
        self.rounds.append(answer["nanoseconds"])
        self.launch_of_round.append(len(self.load_seconds) - 1)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run it once in its process and return every output by name."""
        write_arrays(self._arrays, feeds)
        self._ask("run", feeds=str(self._arrays), outputs=str(self._arrays))
        return read_arrays(self._arrays)

    def _start(self) -> None:
        case, cpus = self.case, choose_cpus(self.case.threads)
        answer = self._ask(
            "start",
            runtime=case.runtime_class,
            path=str(case.path),
            threads=case.threads,
            cpus=list(cpus),
        )
        self.base_memory_mb.append(answer["base_memory_mb"])

    def _warm_up(self, seconds: float) -> None:
        answer = self._ask("load", feeds=str(self.case.feeds))
        self.load_seconds.append(answer["load_seconds"])
        self.details = answer["details"]
        answer = self._ask("warm_up", seconds=seconds)
        self.latency = answer["latency_seconds"]
        self.peak_memory_mb.append(answer["peak_memory_mb"])

    def _ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self._process is not None  # `launch` comes first
        return self._process.ask(do, **arguments)
