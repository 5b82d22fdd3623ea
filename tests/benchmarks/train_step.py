"""One training step of ours against PyTorch's, eager, with the same weights and batches.

    python -m tests.benchmarks.train_step [--nets mlp resnet20 …] [--rounds 7] [--threads 2]
                                          [--clock wall|cpu] [--onnxsim PYTHON]

Forward, cross-entropy, backward, SGD with momentum; each contender in a process of its own,
taking turns, on the same number of threads.  A turn is as many steps as take 0.4 s; printed is
the median over rounds of the time per step, and of the ratio within a round.  Memory is the
peak of the process, less what it had after its imports: weights, their state, gradients and
activations.  On a busy machine, `--threads 1 --clock cpu` counts the time on the processor.

onnxsim, which also writes gradients as ONNX nodes, takes part when `--onnxsim` names an
interpreter that has it (pip install onnxsim onnxruntime); `train_onnxsim` says how it is used.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.train_contenders import CLOCKS, CONTENDERS, work

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

ROOT: Final = Path(__file__).parents[2]


class Worker:
    """A contender in a process of its own."""

    def __init__(self, contender: str, net: str, asked: argparse.Namespace, folder: Path) -> None:
        python, paths = sys.executable, {}
        if contender == "onnxsim":  # where onnxpress isn't installed
            python, paths = asked.onnxsim, {"PYTHONPATH": str(ROOT / "core")}
        command = [python, "-m", "tests.benchmarks.train_step", "--work", contender]
        command += ["--nets", net, "--threads", str(asked.threads), "--clock", asked.clock]
        command += ["--model", str(folder / "net.onnx"), "--arrays", str(folder / "arrays.npz")]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | paths,
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


@dataclass(frozen=True)
class Found:
    """What the rounds of one net showed, by contender; times in seconds, memory in MB."""

    facts: dict[str, dict[str, Any]]
    first: dict[str, dict[str, Any]]
    rounds: list[dict[str, dict[str, Any]]]

    def time(self, contender: str) -> float:
        return float(statistics.median(r[contender]["seconds"] for r in self.rounds))

    def ratio(self, contender: str) -> float:
        """Our time by the contender's."""
        ours = (r["onnxpress"]["seconds"] for r in self.rounds)
        theirs = (r[contender]["seconds"] for r in self.rounds)
        return float(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)))

    def memory(self, contender: str) -> float:
        return float(self.rounds[-1][contender]["peak"] - self.facts[contender]["before"])

    def apart(self, contender: str) -> float:
        """The largest difference of the first losses to ours."""
        losses = (self.first[c]["losses"] for c in ("onnxpress", contender))
        return float(max(abs(a - b) for a, b in zip(*losses, strict=True)))


def measure(net: str, asked: argparse.Namespace) -> Found:
    asking = [c for c in CONTENDERS if c != "onnxsim" or asked.onnxsim]
    with tempfile.TemporaryDirectory() as folder:
        export(net, Path(folder))
        workers = {c: Worker(c, net, asked, Path(folder)) for c in asking}
    facts = {c: w.facts for c, w in workers.items()}
    running = {c: w for c, w in workers.items() if "refuses" not in w.facts}
    first = {c: w.run(3) for c, w in running.items()}
    sizes = {c: max(1, round(0.4 / first[c]["seconds"])) for c in running}
    rounds = [{c: w.run(sizes[c]) for c, w in running.items()} for _ in range(asked.rounds)]
    for worker in workers.values():
        worker.close()
    return Found(facts, first, rounds)


def row(net: str, found: Found) -> str:
    """Say how we compare with PyTorch."""
    facts, memory = found.facts["onnxpress"], found.memory("onnxpress")
    return (
        f"{net:12} {found.time('onnxpress') * 1e3:9.1f} ms {found.time('torch') * 1e3:9.1f} ms  "
        f"x{found.ratio('torch'):5.2f}   memory {memory:6.0f} / {found.memory('torch'):6.0f} MB "
        f"x{memory / found.memory('torch'):4.2f}   "
        f"{facts['nodes'][0]} -> {facts['nodes'][1]} nodes in {facts['building']:.2f} s   "
        f"losses differ by {found.apart('torch'):.1e}"
    )


def onnxsim_row(found: Found) -> str:
    """Say how we compare with onnxsim, and what it was compared at."""
    facts = found.facts["onnxsim"]
    if "refuses" in facts:
        return f"{'':12} onnxsim: refuses, {facts['refuses']}"
    memory = found.memory("onnxpress"), found.memory("onnxsim")
    lines = [
        f"{'  onnxsim':25} {found.time('onnxsim') * 1e3:9.1f} ms  "
        f"x{found.ratio('onnxsim'):5.2f}   memory {memory[0]:6.0f} / {memory[1]:6.0f} MB "
        f"x{memory[0] / memory[1]:4.2f}   "
        f"{facts['nodes'][0]} -> {facts['nodes'][1]} nodes in {facts['building']:.2f} s   "
        f"losses differ by {found.apart('onnxsim'):.1e}"
    ]
    if facts["refused"]:
        respelt = ", ".join(facts["spellings"])
        lines.append(f"onnxsim: refuses as it is, {facts['refused']}; timed with {respelt}")
    if facts["frozen"]:
        lines.append("onnxsim: BatchNormalization with frozen statistics, hence other losses")
    return f"\n{'':12} ".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--nets", nargs="+", default=["mlp", "resnet20", "mobilenet", "transformer", "lstm"]
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--onnxsim", metavar="PYTHON", help="an interpreter with onnxsim")
    parser.add_argument("--work", choices=CONTENDERS)
    parser.add_argument("--model")
    parser.add_argument("--arrays")
    asked = parser.parse_args()
    if asked.work:
        work(asked)
        return
    print(f"{'':12} {'onnxpress':>12} {'other':>12}  ratio")
    for net in asked.nets:
        found = measure(net, asked)
        print(row(net, found), flush=True)
        if asked.onnxsim:
            print(onnxsim_row(found), flush=True)


if __name__ == "__main__":
    main()
