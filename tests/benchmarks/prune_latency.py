"""How much faster models really are when channels or blocks are taken out.

    python -m tests.benchmarks.prune_latency [--macs 0.5] [--rounds 60] [--batch 1]

ResNet-20 and ResNet-56 of the shared models, and a MobileNetV2-style net with random weights,
each brought to a share of its multiply-accumulates by l1: channels in multiples of 8, of 16 and
in any number, and whole residual blocks.  Thread CPU time of one run on one thread, the models in
turn, medians.
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


WAYS: Final[dict[str, dict[str, object]]] = {
    "channels × 8": {"structure": "channel", "round_to": 8},
    "channels × 16": {"structure": "channel", "round_to": 16},
    "any channels": {"structure": "channel", "round_to": 1},
    "blocks": {"structure": "depth"},
}


def smaller(model: Model, macs: float, way: str) -> Model:
    """Return a model with so many of its multiply-accumulates left."""
    step = {"use": "magnitude-pruning", "macs": macs, "recalibrate": "none", **WAYS[way]}
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
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--batch", type=int, default=1)
    asked = parser.parse_args()
    print("| net | batch | ms | " + " | ".join(f"{way}: MACs, time" for way in WAYS) + " |")
    print("|---" * (3 + len(WAYS)) + "|")
    for name, model in models().items():
        cut = [smaller(model, asked.macs, way) for way in WAYS]
        whole, *left = times([model, *cut], asked.batch, asked.rounds)
        full = model.cost().macs
        pairs = zip(cut, left, strict=True)
        cells = [f"{m.cost().macs / full:.2f} ×, {ms / whole:.2f} ×" for m, ms in pairs]
        print(f"| {name} | {asked.batch} | {whole:.2f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
