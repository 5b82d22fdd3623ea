"""One training step of ours against PyTorch's, eager, with the same weights and batches.

    python tests/benchmarks/train_step.py [--nets mlp resnet20 …] [--rounds 7] [--threads 2]

Forward, cross-entropy, backward, SGD with momentum; each contender in a process of its own,
taking turns, on the same number of threads.  A round is several steps; printed is the median
over rounds of the time per step, and of the ratio within a round.  Memory is the peak of the
process, less what it had after its imports: weights, their state, gradients and activations.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Final

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

CONTENDERS: Final = ("onnxpress", "torch")
LR: Final = 0.01


def ours(asked: argparse.Namespace) -> Callable[[], float]:
    import numpy as np
    import onnxruntime  # noqa: F401

    from onnxpress.graph.model import Model
    from onnxpress.measure.memory import peak_memory_mb
    from onnxpress.training.optimizers import make_optimizer
    from onnxpress.training.running import Runner
    from onnxpress.training.step import LOSS, Plan, build_step
    from onnxpress.training.update import COUNT, RATE, Update
    from onnxpress_training.objectives import CrossEntropy

    arrays = dict(np.load(asked.arrays))
    before = peak_memory_mb()
    model = Model.load(asked.model)
    update = Update(make_optimizer("sgd:momentum=0.9"))
    labels = arrays["y"]
    started = perf_counter()
    step = build_step(model, Plan(tuple(model.parameters), (CrossEntropy(),), update), labels)
    building = perf_counter() - started
    nodes = model.ir.graph.num_nodes(), step.model.ir.graph.num_nodes()
    runner = Runner(step, threads=asked.threads)
    del model
    print(json.dumps({"building": building, "nodes": nodes, "before": before}), flush=True)
    feeds = {"x": arrays["x"], step.labels[0].name: labels}
    feeds[RATE] = np.array(LR, np.float32)
    feeds[COUNT] = np.array(1, np.float32)
    return lambda: runner.run(feeds)[LOSS]


def peer(asked: argparse.Namespace) -> Callable[[], float]:
    import numpy as np
    import torch

    from onnxpress.measure.memory import peak_memory_mb
    from tests.benchmarks.nets import NETS

    torch.set_num_threads(asked.threads)
    arrays = dict(np.load(asked.arrays))
    before = peak_memory_mb()
    module = NETS[asked.nets[0]].module().train()
    optimizer = torch.optim.SGD(module.parameters(), LR, momentum=0.9)
    x, y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
    print(json.dumps({"before": before}), flush=True)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def work(asked: argparse.Namespace) -> None:
    """Do so many steps whenever a number comes in; print times and losses as JSON."""
    from onnxpress.measure.memory import peak_memory_mb

    step = {"onnxpress": ours, "torch": peer}[asked.work](asked)
    for line in sys.stdin:
        started = perf_counter()
        losses = [step() for _ in range(int(line))]
        seconds = (perf_counter() - started) / int(line)
        found = {"seconds": seconds, "losses": losses, "peak": peak_memory_mb()}
        print(json.dumps(found), flush=True)


class Worker:
    """A contender in a process of its own."""

    def __init__(self, contender: str, net: str, threads: int, folder: Path) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.train_step", "--work", contender]
        command += ["--nets", net, "--threads", str(threads)]
        command += ["--model", str(folder / "net.onnx"), "--arrays", str(folder / "arrays.npz")]
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


def export(name: str, folder: Path) -> None:
    """Write the model and one batch, so that no contender needs the other's framework."""
    import numpy as np
    import onnx

    from tests.benchmarks.nets import NETS

    net = NETS[name]
    onnx.save(net.export(), folder / "net.onnx")
    np.savez(folder / "arrays.npz", x=net.inputs(), y=net.labels())


def compare(net: str, asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        export(net, Path(folder))
        workers = {c: Worker(c, net, asked.threads, Path(folder)) for c in CONTENDERS}
    first = {c: w.run(3) for c, w in workers.items()}
    size = max(1, round(0.4 / first["torch"]["seconds"]))
    rounds = [{c: w.run(size) for c, w in workers.items()} for _ in range(asked.rounds)]
    for worker in workers.values():
        worker.close()
    times = {c: statistics.median(r[c]["seconds"] for r in rounds) for c in CONTENDERS}
    ratio = statistics.median(r["onnxpress"]["seconds"] / r["torch"]["seconds"] for r in rounds)
    memory = {c: rounds[-1][c]["peak"] - w.facts["before"] for c, w in workers.items()}
    facts = workers["onnxpress"].facts
    apart = max(abs(a - b) for a, b in zip(*(first[c]["losses"] for c in CONTENDERS), strict=True))
    print(
        f"{net:12} {times['onnxpress'] * 1e3:9.1f} ms {times['torch'] * 1e3:9.1f} ms  "
        f"x{ratio:5.2f}   memory {memory['onnxpress']:6.0f} / {memory['torch']:6.0f} MB "
        f"x{memory['onnxpress'] / memory['torch']:4.2f}   "
        f"{facts['nodes'][0]} -> {facts['nodes'][1]} nodes in {facts['building']:.2f} s   "
        f"losses differ by {apart:.1e}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--nets", nargs="+", default=["mlp", "resnet20", "mobilenet", "transformer", "lstm"]
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", choices=CONTENDERS)
    parser.add_argument("--model")
    parser.add_argument("--arrays")
    asked = parser.parse_args()
    if asked.work:
        work(asked)
        return
    print(f"{'':12} {'onnxpress':>12} {'torch':>12}  ratio")
    for net in asked.nets:
        compare(net, asked)


if __name__ == "__main__":
    main()
