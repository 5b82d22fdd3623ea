"""The contenders of `train_step`: each makes a step, and `work` runs it when asked."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any, Final

LR: Final = 0.01

Step = Callable[[], float]


def tell(facts: dict[str, Any]) -> None:
    """Print one line for the process that started this one."""
    print(json.dumps(facts), flush=True)


def ours(asked: argparse.Namespace) -> Step:
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
    tell({"building": building, "nodes": nodes, "before": before})
    feeds = {"x": arrays["x"], step.labels[0].name: labels}
    feeds[RATE] = np.array(LR, np.float32)
    feeds[COUNT] = np.array(1, np.float32)
    return lambda: runner.run(feeds)[LOSS]


def peer(asked: argparse.Namespace) -> Step:
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
    tell({"before": before})

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def other(asked: argparse.Namespace) -> Step | None:
    from tests.benchmarks.train_onnxsim import make_step

    return make_step(asked)


CLOCKS: Final = {"wall": perf_counter, "cpu": process_time}
CONTENDERS: Final = {"onnxpress": ours, "torch": peer, "onnxsim": other}


def work(asked: argparse.Namespace) -> None:
    """Do so many steps whenever a number comes in; print times and losses as JSON."""
    from onnxpress.measure.memory import peak_memory_mb

    step = CONTENDERS[asked.work](asked)
    if step is None:
        return
    for line in sys.stdin:
        clock = CLOCKS[asked.clock]
        started = clock()
        losses = [step() for _ in range(int(line))]
        seconds = (clock() - started) / int(line)
        tell({"seconds": seconds, "losses": losses, "peak": peak_memory_mb()})
