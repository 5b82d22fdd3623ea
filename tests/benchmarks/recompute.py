"""Memory and time of a training step that computes its forward pass again on the way back.

    python -m tests.benchmarks.recompute [--nets mobilenet resnet20] [--parts none 0 2 4 8]
                                         [--steps 4] [--threads 1]

Every case in a process of its own: the peak of its memory above what it had after its imports,
and the median time of a step on the processor (`--threads 1` for a busy machine), both also as
shares of those of keeping everything.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import Any, Final

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

KEPT: Final = "none"
ROOT: Final = Path(__file__).parents[2]


def work(folder: Path, parts: str, steps: int, threads: int) -> dict[str, float]:
    """Run steps of the net in a folder; return megabytes and seconds."""
    import onnxruntime  # noqa: F401

    from onnxpress.graph.model import Model
    from onnxpress.measure.memory import peak_memory_mb
    from onnxpress.training.optimizers import make_optimizer
    from onnxpress.training.running import Runner
    from onnxpress.training.step import LOSS, Plan, build_step
    from onnxpress.training.update import COUNT, RATE, Update
    from onnxpress_training.objectives import CrossEntropy

    arrays = dict(np.load(folder / "arrays.npz"))
    before = peak_memory_mb()
    model = Model.load(folder / "net.onnx")
    plan = Plan(
        tuple(model.parameters),
        (CrossEntropy(),),
        Update(make_optimizer("sgd:momentum=0.9")),
        recompute=None if parts == KEPT else int(parts),
    )
    step = build_step(model, plan, arrays["y"])
    runner = Runner(step, threads=threads)
    feeds = {"x": arrays["x"], step.labels[0].name: arrays["y"]}
    feeds |= {RATE: np.array(0.01, np.float32), COUNT: np.array(1, np.float32)}
    seconds, losses = [], []
    for _ in range(steps + 1):
        started = process_time()
        losses.append(runner.run(feeds)[LOSS])
        seconds.append(process_time() - started)
    memory = peak_memory_mb() - before
    return {"memory": memory, "seconds": statistics.median(seconds[1:]), "loss": losses[-1]}


def measure(folder: Path, parts: str, asked: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.recompute", "--work", str(folder)]
    command += ["--parts", parts, "--steps", str(asked.steps), "--threads", str(asked.threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(name: str, asked: argparse.Namespace) -> None:
    from tests.benchmarks.train_step import export

    with tempfile.TemporaryDirectory() as folder:
        export(name, Path(folder))
        found = {parts: measure(Path(folder), parts, asked) for parts in asked.parts}
    usual: dict[str, Any] = found[KEPT]
    for parts, case in found.items():
        print(
            f"{name:12} {parts:>5} parts  {case['memory']:7.0f} MB x{_share(case, usual, 'memory')}"
            f"  {case['seconds'] * 1e3:7.0f} ms x{_share(case, usual, 'seconds')}"
            f"  loss {case['loss']:.6f}",
            flush=True,
        )


def _share(case: dict[str, float], usual: dict[str, float], of: str) -> str:
    return f"{case[of] / usual[of]:4.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="+", default=["mobilenet", "resnet20"])
    parser.add_argument("--parts", nargs="+", default=[KEPT, "0", "2", "4", "8"])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path)
    asked = parser.parse_args()
    if asked.work:
        print(json.dumps(work(asked.work, asked.parts[0], asked.steps, asked.threads)))
        return
    for name in asked.nets:
        compare(name, asked)


if __name__ == "__main__":
    main()
