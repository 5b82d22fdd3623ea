"""How much faster models really are when channels are cut.

    python -m tests.benchmarks.prune_latency [--macs 0.5] [--rounds 40] [--batch 1]

ResNet-20 and ResNet-56 of the shared models, and a MobileNetV2-style net with random weights,
each cut to a share of its multiply-accumulates by l1, once rounded to multiples of 8 channels and
once to any number.  Thread CPU time of one run on one thread, the models in turn, medians.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Final

import onnxpress
from onnxpress.data.random import random_feeds
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.benchmarks.nets import NETS

SHARED: Final = Path("/work/shared/models")
_WARM: Final = 3


def models() -> dict[str, Model]:
    """Return what is measured, by name."""
    found = {
        "ResNet-20": onnxpress.load(SHARED / "cifar10_resnet20/resnet20_bn.onnx"),
        "ResNet-56": onnxpress.load(SHARED / "cifar10_resnet56/resnet56_bn.onnx"),
    }
    found["MobileNetV2-style"] = Model.from_proto(NETS["mobilenet"].export())
    return found


def cut(model: Model, macs: float, round_to: int) -> Model:
    """Return a model with so many of its multiply-accumulates left."""
    step = {
        "use": "magnitude-pruning",
        "structure": "channel",
        "macs": macs,
        "round_to": round_to,
        "recalibrate": "none",
    }
    return onnxpress.compress(model, [step]).model


def times(candidates: Sequence[Model], batch: int, rounds: int) -> list[float]:
    """Return the median milliseconds of one run of each model; they run in turn."""
    sessions = [Session(model, threads=1) for model in candidates]
    feeds = [random_feeds(model, batch) for model in candidates]
    found: list[list[float]] = [[] for _ in candidates]
    for turn in range(rounds + _WARM):
        for session, fed, own in zip(sessions, feeds, found, strict=True):
            started = thread_time()
            session.run(fed)
            if turn >= _WARM:
                own.append(1000 * (thread_time() - started))
    return [median(own) for own in found]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--macs", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--batch", type=int, default=1)
    asked = parser.parse_args()
    print("| net | batch | ms | multiples of 8: MACs | time | any number: MACs | time |")
    print("|---|---|---|---|---|---|---|")
    for name, model in models().items():
        smaller = [cut(model, asked.macs, round_to) for round_to in (8, 1)]
        whole, *left = times([model, *smaller], asked.batch, asked.rounds)
        full = model.cost().macs
        cells = [
            f"{s.cost().macs / full:.2f} × | {ms / whole:.2f} ×"
            for s, ms in zip(smaller, left, strict=True)
        ]
        print(f"| {name} | {asked.batch} | {whole:.2f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
