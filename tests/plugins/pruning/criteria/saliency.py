"""A small net with its twin in PyTorch, and what a criterion says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.testing import assert_allclose

from onnxpress.data.batch import Array
from onnxpress.data.opening import open_data
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress_pruning.criteria.criterion import Criterion, Subject
from tests.core.training.nets import convnet, images, torch_convnet

KERNELS = ("w1", "w2", "w3")
SAMPLES = images(10)
BATCHES = [slice(0, 4), slice(4, 8), slice(8, 10)]


def subject(
    model: Model | None = None,
    names: tuple[str, ...] = KERNELS,
    data: Any = None,
    seed: int = 0,
    **more: Any,
) -> Subject:
    """Return a subject with some stored tensors as targets, and 10 samples in 3 batches."""
    net = convnet() if model is None else model
    given = {**SAMPLES, "batch": 4} if data is None else data
    found = {w.name: w for layer in net.layers for w in layer.tensors}
    job = Job(data=open_data(given, net), seed=seed)
    return Subject(net, tuple(found[name] for name in names), job, **more)


def scores(criterion: Criterion, of: Subject) -> dict[str, Array]:
    """Return the scores of single weights by tensor."""
    scored = criterion.elements(of)
    return {weight.name: np.asarray(scored(weight)) for weight in of.targets}


def twin_losses(samples: Mapping[str, Array] = SAMPLES) -> tuple[dict[str, torch.Tensor], Any]:
    """Return the parameters of the twin, and a function from rows to their mean loss."""
    twin = torch_convnet(frozen=True)

    def loss(rows: slice, parameters: Mapping[str, torch.Tensor] | None = None) -> torch.Tensor:
        x, y = torch.tensor(samples["x"][rows]), torch.tensor(samples["labels"][rows])
        found = twin.forward(twin.parameters if parameters is None else parameters, x)
        return torch.nn.functional.cross_entropy(found, y)

    return twin.parameters, loss


def twin_gradients(rows: slice) -> dict[str, torch.Tensor]:
    """Return the gradients of the twin's mean loss over some rows."""
    parameters, loss = twin_losses()
    found = torch.autograd.grad(loss(rows), list(parameters.values()))
    return dict(zip(parameters, found, strict=True))


def close(found: Mapping[str, Array], wanted: Mapping[str, torch.Tensor | Array]) -> None:
    """Assert that all scores agree, relative to the largest of their tensor."""
    for name, array in found.items():
        right = np.asarray(wanted[name])
        assert array.shape == right.shape
        assert_allclose(array, right, rtol=1e-4, atol=2e-5 * float(np.abs(right).max()))
