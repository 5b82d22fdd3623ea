"""Small networks as ONNX, the same ones in PyTorch, and data for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from tests.graphs import graph, normal

CLASSES = 3
FEATURES = 6
SIZE = 6  # of an image


def mlp() -> Model:
    """Return two dense layers: 6 features, 8 hidden, 3 classes."""
    return graph(
        """g (float[N,6] x) => (float[N,3] y) {
            a = Gemm(x, w1, b1)
            r = Relu(a)
            y = Gemm(r, w2, b2)
        }""",
        w1=normal(6, 8, seed=1) * 0.5,
        b1=normal(8, seed=2) * 0.1,
        w2=normal(8, 3, seed=3) * 0.5,
        b2=normal(3, seed=4) * 0.1,
    )


def torch_mlp() -> Twin:
    model = mlp()
    start = {name: value.const_value.numpy() for name, value in stored(model).items()}

    def forward(p: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]

    return Twin(forward, start)


def convnet() -> Model:
    """Return two convolutions, the first with batch normalisation, and a dense layer."""
    return graph(
        """g (float[N,2,6,6] x) => (float[N,3] y) {
            c = Conv<pads=[1,1,1,1]>(x, w1)
            n = BatchNormalization<momentum=0.8>(c, s, b, m, v)
            r = Relu(n)
            d = Conv<strides=[2,2]>(r, w2, b2)
            t = Relu(d)
            p = GlobalAveragePool(t)
            f = Flatten(p)
            y = Gemm<transB=1>(f, w3, b3)
        }""",
        w1=normal(4, 2, 3, 3, seed=1) * 0.3,
        s=np.linspace(0.5, 1.5, 4),
        b=normal(4, seed=2) * 0.1,
        m=normal(4, seed=3) * 0.1,
        v=np.linspace(0.5, 2, 4),
        w2=normal(5, 4, 3, 3, seed=4) * 0.3,
        b2=normal(5, seed=5) * 0.1,
        w3=normal(3, 5, seed=6) * 0.5,
        b3=normal(3, seed=7) * 0.1,
    )


def torch_convnet(*, frozen: bool = False) -> Twin:
    model = convnet()
    start = {name: value.const_value.numpy() for name, value in stored(model).items()}
    kept = {name: torch.tensor(start.pop(name)) for name in "mv"}

    def forward(p: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        f = torch.nn.functional
        c = f.conv2d(x, p["w1"], padding=1)
        # torch's momentum is the share of the new value, ONNX's that of the old.
        n = f.batch_norm(c, kept["m"], kept["v"], p["s"], p["b"], not frozen, 0.2, 1e-5)
        d = torch.relu(f.conv2d(torch.relu(n), p["w2"], p["b2"], stride=2))
        return d.mean((2, 3)) @ p["w3"].T + p["b3"]

    return Twin(forward, start, kept)


class Twin:
    """A function of parameters and a batch, in PyTorch, and where it starts."""

    def __init__(
        self, forward: Any, start: Mapping[str, Array], kept: Mapping[str, Any] | None = None
    ) -> None:
        self.forward = forward
        self.parameters = {
            name: torch.tensor(array, requires_grad=True) for name, array in start.items()
        }
        self.kept = kept or {}

    def arrays(self) -> dict[str, Array]:
        found = {name: p.detach().numpy().copy() for name, p in self.parameters.items()}
        return {**found, **{name: kept.numpy().copy() for name, kept in self.kept.items()}}

    def loss(self, x: Array, labels: Array) -> torch.Tensor:
        scores = self.forward(self.parameters, torch.tensor(x))
        return torch.nn.functional.cross_entropy(scores, torch.tensor(labels))


def stored(model: Model) -> dict[str, Any]:
    return dict(model.ir.graph.initializers)


def samples(count: int = 40, seed: int = 9) -> dict[str, Array]:
    """Return samples for the MLP, and classes that can be learnt."""
    x = normal(count, FEATURES, seed=seed)
    return {"x": x, "labels": (x @ normal(FEATURES, CLASSES, seed=10)).argmax(1)}


def images(count: int = 40, seed: int = 9) -> dict[str, Array]:
    """Return images for the convolutions, and classes that can be learnt."""
    x = normal(count, 2, SIZE, SIZE, seed=seed)
    means = x.reshape(count, 2, 2, -1).mean(3).reshape(count, 4)
    return {"x": x, "labels": (means @ normal(4, CLASSES, seed=10)).argmax(1)}
