"""Pruning during training against published figures, on MNIST.

    python -m tests.benchmarks.prune_published [NET] [--seed N]

Both nets are trained from random weights first, and pruned while they are trained further; all
of it by onnxpress.  Published: the net of TFMOT's tutorial at 80 % zeros, 97.3 % or better in two
epochs; LeNet-300-100 with 8 % of its weights left, 1.6 % errors (Han et al. 2015, table 1).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import onnxpress
from onnxpress.data import open_data
from onnxpress.graph.model import Model
from onnxpress.metrics import evaluate, open_metric
from onnxpress.session import Session
from tests.graphs import graph, normal

MNIST: Final = Path("/work/shared/data/mnist.npz")
TRAIN: Final = f"{MNIST}:input=x_train,labels=y_train?scale=1/255"
TEST: Final = f"{MNIST}:input=x_test,labels=y_test?scale=1/255"
SMOOTHED: Final = "cross-entropy:label-smoothing=0.1"


@dataclass(frozen=True)
class Case:
    """A net, how it is trained and pruned, and what was published.

    Attributes:
        model: Makes it; `train` gives it its weights.
        dense: The step that trains it.
        sparse: The step that prunes it.
        least: The accuracy to reach.
        left: The largest share of weights that may be left.
    """

    model: Model
    dense: Mapping[str, Any]
    sparse: Mapping[str, Any]
    least: float
    left: float


def tutorial() -> Model:
    """Return the net of TFMOT's pruning tutorial: 20,410 parameters."""
    return graph(
        """tutorial (float[N,28,28] x) => (float[N,10] y) {
            shape = Constant<value_ints = [-1, 1, 28, 28]>()
            i = Reshape(x, shape)
            c = Conv(i, w1, b1)
            r = Relu(c)
            p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r)
            f = Flatten(p)
            y = Gemm(f, w2, b2)
        }""",
        w1=normal(12, 1, 3, 3),
        b1=normal(12),
        w2=normal(2028, 10),
        b2=normal(10),
    )


def lenet() -> Model:
    """Return LeNet-300-100: 266,610 parameters."""
    sizes = {"1": (784, 300), "2": (300, 100), "3": (100, 10)}
    weights = {f"w{n}": normal(*shape) for n, shape in sizes.items()}
    biases = {f"b{n}": normal(shape[1]) for n, shape in sizes.items()}
    return graph(
        """lenet (float[N,28,28] x) => (float[N,10] y) {
            f = Flatten(x)
            a = Gemm(f, w1, b1)
            ar = Relu(a)
            c = Gemm(ar, w2, b2)
            cr = Relu(c)
            y = Gemm(cr, w3, b3)
        }""",
        **weights,
        **biases,
    )


def cases() -> dict[str, Case]:
    """Return what is measured, by name."""
    return {
        "tutorial": Case(
            tutorial(),
            {"use": "train", "epochs": 3, "batch": 128, "lr": 4e-3, "schedule": "one-cycle"},
            {
                "use": "magnitude-pruning",
                "sparsity": 0.8,
                "scope": "global",
                "schedule": "polynomial:initial=0.5,end=400,frequency=20",
                "train": {"epochs": 2, "batch": 128, "lr": 4e-3},
            },
            0.973,
            0.2,
        ),
        "lenet": Case(
            lenet(),
            {
                "use": "train",
                "epochs": 8,
                "batch": 128,
                "lr": 2e-3,
                "schedule": "one-cycle",
                "objective": SMOOTHED,
            },
            {
                "use": "magnitude-pruning",
                "sparsity": 0.925,
                "scope": "global",
                "schedule": "polynomial:end=2500,frequency=50",
                "train": {"epochs": 12, "batch": 128, "lr": 2e-3, "objective": SMOOTHED},
            },
            0.983,
            0.08,
        ),
    }


def measure(case: Case, seed: int = 0) -> dict[str, float]:
    """Train and prune a net; return accuracies, the share of weights left, and seconds."""
    started = perf_counter()
    dense = onnxpress.compress(case.model, [case.dense], data=TRAIN, seed=seed).model
    between = perf_counter()
    sparse = onnxpress.compress(dense, [case.sparse], data=TRAIN, seed=seed).model
    return {
        "dense": accuracy(dense),
        "sparse": accuracy(sparse),
        "left": share_left(sparse),
        "seconds dense": between - started,
        "seconds sparse": perf_counter() - between,
    }


def accuracy(model: Model) -> float:
    """Return top-1 on the 10,000 test images."""
    metric = open_metric("top-1", [value.name or "" for value in model.outputs])
    return float(evaluate(Session(model).run, open_data(TEST, model), metric).value)


def share_left(model: Model) -> float:
    """Return the share of the kernels and matrices that is not zero."""
    arrays = [layer.weight.array() for layer in model.layers]
    return float(sum((a != 0).sum() for a in arrays) / sum(a.size for a in arrays))


def main() -> None:
    known = cases()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", choices=[*known, []], help="which; all by default")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for name in asked.nets or known:
        figures = measure(known[name], asked.seed)
        shown = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
        print(f"{name}: {shown}; wanted: {known[name].least} with {known[name].left} left")


if __name__ == "__main__":
    main()
