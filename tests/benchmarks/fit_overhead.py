"""What `fit` takes beside its step: data, augmentation, feeding, events and counting.

    python -m tests.benchmarks.fit_overhead [--nets resnet20 mlp] [--threads 1] [--clock cpu|wall]
                                            [--rounds 5] [--turn 6]

In one process: `fit` goes through batches of random samples stored as a data set would be
(bytes for images, floats for others), and after every `turn` of its steps as many are run of
the same step alone, on one batch that is there.  Printed are the medians over rounds of a step
of each, and of the ratio within a round, without augmentation and, for images, with flip and
crop.  `--clock wall` shows what threads that share cores do to each other.

On a busy machine the ratio of two turns is mostly noise, also on the clock of the processor
(`--clock cpu`).  With `--threads 1`, "beside" is what all threads of the process took while
`fit` was not inside ONNX Runtime, counted, not subtracted from another turn: the main thread
and the one that makes batches.
"""

from __future__ import annotations

import argparse
import os
import statistics
from dataclasses import dataclass, field
from time import perf_counter, process_time, thread_time
from typing import Any, Final
from unittest.mock import patch

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from onnxpress.data import open_data
from onnxpress.data.batch import Array, Data
from onnxpress.events import Event, Trained
from onnxpress.graph.model import Model
from onnxpress.training.fit import fit
from onnxpress.training.options import Training
from onnxpress.training.running import Runner
from onnxpress.training.step import Plan, build_step
from onnxpress.training.update import COUNT, RATE, Update
from onnxpress_training.objectives import CrossEntropy
from tests.benchmarks.nets import NETS, Net

CLOCKS: Final = {"wall": perf_counter, "cpu": process_time}
RUN: Final = Runner.run
IMAGE_AXES: Final = 4
PLANS: Final = {"plain": (), "flip, crop": ("flip", "crop:padding=4")}


def samples(net: Net, count: int) -> dict[str, Array]:
    """Return random samples as files have them, with labels."""
    rng = np.random.default_rng(0)
    shape = (count, *net.shape[1:])
    labels = rng.integers(0, 10, count)
    if len(shape) == IMAGE_AXES:
        return {"x": rng.integers(0, 256, shape, np.uint8), "labels": labels}
    return {"x": rng.standard_normal(shape).astype(np.float32), "labels": labels}


def alone(model: Model, data: Data, options: Training) -> tuple[Runner, dict[str, Array]]:
    """Return what runs the step without `fit`, and what it is fed: the first batch."""
    plan = Plan(tuple(model.parameters), (CrossEntropy(),), Update(options.optimizer))
    batch = next(iter(data))
    assert batch.labels is not None  # the samples have some
    step = build_step(model, plan, batch.labels)
    feeds = {**batch.feeds, step.labels[0].name: batch.labels}
    feeds |= {RATE: np.array(options.lr, np.float32), COUNT: np.array(1, np.float32)}
    return Runner(step, threads=options.threads), feeds


@dataclass
class Turns:
    """Listens to a fit, and lets the step alone run in its turn.

    Attributes:
        runner: Runs the step alone.
        feeds: What it is fed.
        clock: What times are read from.
        turn: How many steps are one turn.
        fitted: Seconds a step of `fit`, turn by turn; the first warms up.
        stepped: Seconds a step alone.
        beside: Seconds of all threads for a step of `fit` besides running it.
    """

    runner: Runner
    feeds: dict[str, Array]
    clock: Any
    turn: int
    fitted: list[float] = field(default_factory=list)
    stepped: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    done: int = 0
    since: float = 0.0
    began: float = 0.0
    inside: float = 0.0

    def begin(self) -> None:
        """Begin a turn of `fit`."""
        self.since, self.began, self.inside = self.clock(), process_time(), 0.0

    def timed(self, runner: Runner, feeds: dict[str, Array]) -> dict[str, float]:
        """Run a step of `fit`, and count what its thread takes."""
        before = thread_time()
        losses = RUN(runner, feeds)
        self.inside += thread_time() - before
        return losses

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Trained):
            return
        self.done += 1
        if self.done % self.turn:
            return
        now = self.clock()
        self.fitted.append((now - self.since) / self.turn)
        self.beside.append((process_time() - self.began - self.inside) / self.turn)
        for _ in range(self.turn):
            RUN(self.runner, self.feeds)
        self.stepped.append((self.clock() - now) / self.turn)
        self.begin()


def measure(model: Model, net: Net, augment: tuple[str, ...], asked: argparse.Namespace) -> Turns:
    options = Training(
        epochs=1, batch=net.shape[0], optimizer="sgd:momentum=0.9", lr=1e-3,
        augment=augment, threads=asked.threads,
    )  # fmt: skip
    arrays = samples(net, net.shape[0] * asked.turn * (asked.rounds + 1))
    prepared = {"scale": 1 / 255} if arrays["x"].dtype == np.uint8 else {}
    data = open_data({**arrays, **prepared, "batch": net.shape[0]}, model)
    turns = Turns(*alone(model, data, options), CLOCKS[asked.clock], asked.turn)
    # A lambda, because a bound method would not be given the runner.
    with patch.object(Runner, "run", lambda runner, feeds: turns.timed(runner, feeds)):  # noqa: PLW0108
        turns.begin()
        fit(model, data, options, (CrossEntropy(),), notify=turns)
    return turns


def row(name: str, turns: Turns, threads: int) -> str:
    """Say what `fit` takes beside the step; the first turn doesn't count."""
    fitted, stepped = turns.fitted[1:], turns.stepped[1:]
    ratios = [a / b for a, b in zip(fitted, stepped, strict=True)]
    beside = statistics.median(turns.beside[1:])
    more = f"   beside {beside * 1e3:6.2f} ms" if threads == 1 else ""
    return (
        f"{name:24} fit {statistics.median(fitted) * 1e3:8.2f} ms   "
        f"step {statistics.median(stepped) * 1e3:8.2f} ms   x{statistics.median(ratios):6.3f}   "
        f"from x{min(ratios):.3f} to x{max(ratios):.3f}{more}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="+", default=["resnet20", "mlp"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="cpu")
    asked = parser.parse_args()
    for name in asked.nets:
        net = NETS[name]
        model = Model.from_proto(net.export())
        for plan, augment in PLANS.items():
            if not augment or len(net.shape) == IMAGE_AXES:
                turns = measure(model, net, augment, asked)
                print(row(f"{name}, {plan}", turns, asked.threads), flush=True)


if __name__ == "__main__":
    main()
