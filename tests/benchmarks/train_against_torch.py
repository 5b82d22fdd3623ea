"""ResNet-20 on CIFAR-10, trained by onnxpress and by PyTorch on the same batches.

    python -m tests.benchmarks.train_against_torch [--shared ../shared] [--steps 100] [--seeds 3]

First, from the trained weights, the losses of the first steps, batch by batch.  Then one epoch
over the 20,000 training images from random weights (the same for both), several seeds: top-1 on
the 10,000 test images, and seconds.  SGD with momentum; batch 128; flipped and shifted images.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import warnings
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import onnx
import torch

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from onnxpress.data import open_data
from onnxpress.data.augment import read_augmentations
from onnxpress.data.batch import Batch, Data
from onnxpress.data.sampling import Epochs
from onnxpress.events import Trained
from onnxpress.graph.model import Model
from onnxpress.metrics import evaluate, open_metric
from onnxpress.session import Session
from onnxpress.training.fit import fit
from onnxpress.training.options import Training
from onnxpress_training.objectives import CrossEntropy
from tests.benchmarks.nets import resnet20

PREPARED: Final = "scale=1/255&mean=0.485,0.456,0.406&std=0.229,0.224,0.225&layout=nchw&batch=128"
AUGMENT: Final = ("flip", "crop:padding=4")
MOMENTUM: Final = 0.9


def trained_weights(shared: Path) -> dict[str, Any]:
    """Return akamaster's weights under the names that `resnet20` has."""
    file = shared / "models/cifar10_resnets_torch/resnet20-12fca82f.th"
    stored = torch.load(file, map_location="cpu", weights_only=False)["state_dict"]
    ours = resnet20().state_dict()
    theirs = [v for k, v in stored.items() if "num_batches" not in k]
    names = [k for k in ours if "num_batches" not in k]
    return {
        name: value.reshape(ours[name].shape) for name, value in zip(names, theirs, strict=True)
    }


def export(module: torch.nn.Module) -> Model:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), (torch.zeros(2, 3, 32, 32),), file, dynamo=False, opset_version=17,
            training=torch.onnx.TrainingMode.PRESERVE, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "N"}, "y": {0: "N"}},
        )  # fmt: skip
    return Model.from_proto(onnx.load_from_string(file.getvalue()))


def fresh(seed: int) -> torch.nn.Module:
    """Return a new net; no two of its tensors are equal, or the exporter would tie them."""
    torch.manual_seed(seed)
    module = resnet20()
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.dtype.is_floating_point and tensor.ndim == 1:
                tensor.add_(torch.rand_like(tensor) * 1e-3)
    return module


def batches(data: Data, seed: int) -> Iterator[Batch]:
    """Return the batches that `fit` trains on in its first epoch."""
    return Epochs(data, seed, 128, augment=AUGMENT, classes=10).batches(0)


def by_torch(module: torch.nn.Module, data: Data, seed: int, lr: float, steps: int) -> list[float]:
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr, momentum=MOMENTUM)
    losses = []
    for batch in batches(data, seed):
        x, y = (
            torch.from_numpy(batch.feeds["x"]),
            torch.from_numpy(np.asarray(batch.labels, np.int64)),
        )
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if len(losses) == steps:
            break
    return losses


def by_us(model: Model, data: Data, seed: int, lr: float, steps: int) -> tuple[Model, list[float]]:
    losses: list[float] = []
    options = Training(
        steps=steps, batch=128, optimizer=f"sgd:momentum={MOMENTUM}", lr=lr, schedule="constant",
        augment=read_augmentations(AUGMENT), threads=torch.get_num_threads(),
    )  # fmt: skip

    def note(event: object) -> None:
        if isinstance(event, Trained):
            losses.append(event.losses["loss"])

    fitted = fit(model, data, options, (CrossEntropy(),), seed=seed, notify=note)
    return fitted.model, losses


def top1(run: Any, test: Data) -> float:
    return evaluate(run, test, open_metric("top-1", ["y"])).value


def first_steps(asked: argparse.Namespace, train: Data) -> None:
    module = resnet20()
    module.load_state_dict(trained_weights(asked.shared), strict=False)
    model = export(module)
    theirs = by_torch(module, train, 0, 0.01, asked.steps)
    _, ours = by_us(model, train, 0, 0.01, asked.steps)
    apart = [abs(a - b) / b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"losses of {len(ours)} steps from trained weights: they differ by {max(apart):.2e} at "
        f"most, {statistics.mean(apart):.2e} on average, as shares; means {np.mean(ours):.5f} "
        f"and {np.mean(theirs):.5f}"
    )


def from_scratch(asked: argparse.Namespace, train: Data, test: Data) -> None:
    results: dict[str, list[float]] = {"onnxpress": [], "torch": []}
    for seed in range(asked.seeds):
        module = fresh(seed)
        model = export(module)
        started = perf_counter()
        model, _ = by_us(model, train, seed, asked.lr, 10**6)
        ours = perf_counter() - started
        results["onnxpress"].append(top1(Session(model).run, test))
        started = perf_counter()
        by_torch(module, train, seed, asked.lr, 10**6)
        theirs = perf_counter() - started
        results["torch"].append(top1(Session(export(module)).run, test))
        found = ", ".join(f"{name} {values[-1]:.4f}" for name, values in results.items())
        print(f"seed {seed}: {found}; {ours:.0f} s and {theirs:.0f} s", flush=True)
    for name, values in results.items():
        print(f"{name}: {statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    model = export(resnet20())
    data = asked.shared / "data"
    train = open_data(f"{data}/cifar10_train_20k.npz:input=x,labels=y?{PREPARED}", model)
    test = open_data(f"{data}/cifar10_test.npz:input=x,labels=y?{PREPARED}", model)
    first_steps(asked, train)
    if asked.seeds:
        from_scratch(asked, train, test)


if __name__ == "__main__":
    main()
