"""One training step of ours against PyTorch's, eager, with the same weights and batches.

    python tests/benchmarks/train_step.py [--nets mlp resnet20 …] [--rounds 7] [--threads 2]

Forward, cross-entropy, backward, SGD with momentum; each contender in a process of its own,
taking turns, on the same number of threads.  A round is several steps; printed is the median
over rounds of the time per step, and of the ratio within a round.  Memory is the peak of the
process, less what it had before the first step.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

CONTENDERS: Final = ("onnxpress", "torch")
LR: Final = 0.01


def ours(name: str, threads: int) -> Callable[[], float]:
    import numpy as np

    from onnxpress.graph.model import Model
    from onnxpress.training.optimizers import make_optimizer
    from onnxpress.training.running import Runner
    from onnxpress.training.step import LOSS, Plan, build_step
    from onnxpress.training.update import COUNT, RATE, Update
    from onnxpress_training.objectives import CrossEntropy
    from tests.benchmarks.nets import NETS

    net = NETS[name]
    model = Model.from_proto(net.export())
    update = Update(make_optimizer("sgd:momentum=0.9"))
    labels = net.labels()
    started = perf_counter()
    step = build_step(model, Plan(tuple(model.parameters), (CrossEntropy(),), update), labels)
    building = perf_counter() - started
    runner = Runner(step, threads=threads)
    nodes = model.ir.graph.num_nodes(), step.model.ir.graph.num_nodes()
    print(json.dumps({"building": building, "nodes": nodes}), flush=True)
    feeds = {"x": net.inputs(), step.labels[0].name: labels}
    feeds[RATE] = np.array(LR, np.float32)
    feeds[COUNT] = np.array(1, np.float32)
    return lambda: runner.run(feeds)[LOSS]


def peer(name: str, threads: int) -> Callable[[], float]:
    import torch

    from tests.benchmarks.nets import NETS

    torch.set_num_threads(threads)
    net = NETS[name]
    module = net.module().train()
    optimizer = torch.optim.SGD(module.parameters(), LR, momentum=0.9)
    x, y = torch.from_numpy(net.inputs()), torch.from_numpy(net.labels())
    print(json.dumps({}), flush=True)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x), y)
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def work(asked: argparse.Namespace) -> None:
    """Do so many steps whenever a number comes in; print times and losses as JSON."""
    from onnxpress.measure.memory import peak_memory_mb

    step = {"onnxpress": ours, "torch": peer}[asked.work](asked.nets[0], asked.threads)
    for line in sys.stdin:
        before, losses, started = peak_memory_mb(), [], perf_counter()
        losses.extend(step() for _ in range(int(line)))
        seconds = (perf_counter() - started) / int(line)
        peak = peak_memory_mb()
        print(json.dumps({"seconds": seconds, "losses": losses, "before": before, "peak": peak}), flush=True)


class Worker:
    """A contender in a process of its own."""

    def __init__(self, contender: str, net: str, threads: int) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.train_step", "--work", contender]
        command += ["--nets", net, "--threads", str(threads)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.facts = self._read()

    def run(self, steps: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(steps, file=self._process.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit("a contender failed; see above")
        found: dict[str, Any] = json.loads(line)
        return found


def compare(net: str, asked: argparse.Namespace) -> None:
    workers = {c: Worker(c, net, asked.threads) for c in CONTENDERS}
    first = {c: w.run(3) for c, w in workers.items()}
    size = max(1, round(0.4 / first["torch"]["seconds"]))
    rounds = [{c: w.run(size) for c, w in workers.items()} for _ in range(asked.rounds)]
    for worker in workers.values():
        worker.close()
    times = {c: statistics.median(r[c]["seconds"] for r in rounds) for c in CONTENDERS}
    ratio = statistics.median(r["onnxpress"]["seconds"] / r["torch"]["seconds"] for r in rounds)
    memory = {c: rounds[-1][c]["peak"] - first[c]["before"] for c in CONTENDERS}
    facts = workers["onnxpress"].facts
    apart = max(abs(a - b) for a, b in zip(*(first[c]["losses"] for c in CONTENDERS), strict=True))
    print(
        f"{net:12} {times['onnxpress'] * 1e3:9.1f} ms {times['torch'] * 1e3:9.1f} ms  "
        f"x{ratio:5.2f}   memory {memory['onnxpress']:6.0f} / {memory['torch']:6.0f} MB   "
        f"{facts['nodes'][0]} -> {facts['nodes'][1]} nodes in {facts['building']:.2f} s   "
        f"losses differ by {apart:.1e}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="+", default=["mlp", "resnet20", "mobilenet", "transformer", "lstm"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", choices=CONTENDERS)
    asked = parser.parse_args()
    if asked.work:
        work(asked)
        return
    print(f"{'':12} {'onnxpress':>12} {'torch':>12}  ratio")
    for net in asked.nets:
        compare(net, asked)


if __name__ == "__main__":
    main()
