"""Accuracy against multiply-accumulates, for every criterion that ranks channels, and random.

    python -m tests.benchmarks.prune_curves [--images N] [--svg FILE] [--criteria NAME …]

ResNet-20 on CIFAR-10, channels cut by all criteria to the same budgets, one global ranking, no
training: batch normalisation and biases are corrected on 512 training images, which are also
those that saliency is computed on.  Prints one table, in percent, and draws it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import onnxpress
from onnxpress.data import open_data
from onnxpress.graph.model import Model
from onnxpress.metrics import evaluate, open_metric
from onnxpress.session import Session
from tests.benchmarks.curves import draw

SHARED: Final = Path("/work/shared")
MODEL: Final = SHARED / "models/cifar10_resnet20/resnet20_bn.onnx"
NORMAL: Final = "scale=1/255&mean=0.485,0.456,0.406&std=0.229,0.224,0.225&layout=nchw"
TRAIN: Final = f"{SHARED}/data/cifar10_train_20k.npz:input=x,labels=y?{NORMAL}&limit=512&batch=64"
TEST: Final = f"{SHARED}/data/cifar10_test.npz:input=x,labels=y?{NORMAL}&batch=100"
BUDGETS: Final = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
MAGNITUDE: Final = ("random", "l1", "l2", "lamp", "fpgm", "bn-scale")
SALIENCY: Final = (
    *("snip", "taylor", "taylor-activation", "fisher", "obd", "grasp", "synflow"),
    *("activation-mean", "apoz", "shuffled:of=taylor"),
)


def pruned(model: Model, criterion: str, budget: float, structure: str = "channel") -> Model:
    """Return a model cut to a share of its multiply-accumulates."""
    step = "magnitude-pruning" if criterion in MAGNITUDE else "saliency-pruning"
    options = {
        "use": step,
        "criterion": criterion,
        "structure": structure,
        "macs": budget,
        "scope": "global",
        "at_most": 0.8,
        "round_to": 1,
    }
    return onnxpress.compress(model, [options], data=TRAIN).model


def accuracy(model: Model, images: int) -> float:
    """Return the share of the first test images that a model gets right, in percent."""
    data = open_data(f"{TEST}&limit={images}", model)
    metric = open_metric("top-1", [value.name or "" for value in model.outputs])
    return 100 * float(evaluate(Session(model).run, data, metric).value)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--criteria", nargs="*", default=[*MAGNITUDE, *SALIENCY])
    asked = parser.parse_args(argv)
    model = onnxpress.load(MODEL)
    whole = accuracy(model, asked.images)
    full = model.cost().macs
    print(f"top-1 on {asked.images} images; the whole net has {whole:.2f} at {full:,} MACs\n")
    print("| criterion | " + " | ".join(f"{b:.0%}" for b in BUDGETS) + " |")
    print("|---" * (len(BUDGETS) + 1) + "|")
    curves: dict[str, Mapping[float, float]] = {}
    for criterion in asked.criteria:
        results = [pruned(model, criterion, budget) for budget in BUDGETS]
        found = {r.cost().macs / full: accuracy(r, asked.images) for r in results}
        curves[criterion] = {1.0: whole, **found}
        print(
            f"| `{criterion}` | " + " | ".join(f"{v:.1f}" for v in found.values()) + " |",
            flush=True,
        )
    if asked.svg:
        asked.svg.write_text(draw(curves, "share of multiply-accumulates", "top-1 (%)"))


if __name__ == "__main__":
    main()
