"""Saliency of the trained ResNet-20 of the shared collection, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from onnxpress.data.batch import Array
from onnxpress.data.opening import open_data
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress_pruning.criteria.criterion import Subject
from onnxpress_pruning.criteria.known import SALIENCY
from onnxpress_pruning.criteria.positive import PositiveFlow
from tests.conftest import SHARED

MODELS = SHARED / "models"
IMAGES = SHARED / "data" / "cifar10_test.npz"
COUNT = 8
BATCH = 4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IMAGES.exists(), reason="the shared collection is not here"),
]


@cache
def _subject() -> Subject:
    model = Model.load(MODELS / "cifar10_resnet20" / "resnet20_bn.onnx")
    options = "scale=1/255&mean=0.485,0.456,0.406&std=0.229,0.224,0.225&layout=nchw"
    data = open_data(f"{IMAGES}:input=x,labels=y?limit={COUNT}&batch={BATCH}&{options}", model)
    return Subject(model, _kernels(model), Job(data=data))


def _kernels(model: Model) -> tuple[Any, ...]:
    return tuple(layer.weight for layer in model.layers if not layer.normalizes)


class _Twin:
    """The net in PyTorch, its kernels in order, and the same images."""

    def __init__(self) -> None:
        from tests.benchmarks.nets import resnet20
        from tests.benchmarks.train_against_torch import trained_weights

        self.module = resnet20()
        self.module.load_state_dict(trained_weights(SHARED), strict=False)
        self.module.eval()
        self.kernels = [p for p in self.module.parameters() if p.dim() > 1]
        assert _subject().job.data is not None
        batches = list(_subject().job.data)  # type: ignore[arg-type]
        self.x = torch.tensor(np.concatenate([b.feeds["input"] for b in batches]))
        labels = [b.labels for b in batches if b.labels is not None]
        self.y = torch.tensor(np.concatenate(labels).astype(np.int64))

    def loss(self, rows: slice = slice(None), temperature: float = 1) -> torch.Tensor:
        scores = self.module(self.x[rows]) / temperature
        return torch.nn.functional.cross_entropy(scores, self.y[rows])

    def gradients(self, rows: slice) -> Sequence[torch.Tensor]:
        return torch.autograd.grad(self.loss(rows), self.kernels)

    def singles(self) -> list[slice]:
        return [slice(i, i + 1) for i in range(COUNT)]


def _snip(twin: _Twin) -> list[torch.Tensor]:
    found = [(w * g).abs() for w, g in zip(twin.kernels, twin.gradients(slice(None)), strict=True)]
    total = sum(f.sum() for f in found)
    return [f / total for f in found]


def _taylor(twin: _Twin) -> list[torch.Tensor]:
    each = [twin.gradients(slice(i, i + BATCH)) for i in range(0, COUNT, BATCH)]
    pairs = zip(twin.kernels, zip(*each, strict=True), strict=True)
    return [torch.stack([(w * g) ** 2 for g in gs]).mean(0) for w, gs in pairs]


def _fisher(twin: _Twin) -> list[torch.Tensor]:
    each = [twin.gradients(rows) for rows in twin.singles()]
    pairs = zip(twin.kernels, zip(*each, strict=True), strict=True)
    return [torch.stack([g**2 for g in gs]).mean(0) * w**2 / 2 for w, gs in pairs]


def _obd(twin: _Twin) -> list[torch.Tensor]:
    """``L = diag(p) - p pᵀ = S Sᵀ`` with ``S = diag(√p) - p √pᵀ``."""
    squares = [torch.zeros_like(w) for w in twin.kernels]
    for rows in twin.singles():
        scores = twin.module(twin.x[rows])[0]
        p = scores.detach().softmax(0)
        root = torch.diag(p.sqrt()) - p[:, None] * p.sqrt()[None]
        for column in root.T:
            found = torch.autograd.grad(scores, twin.kernels, column, retain_graph=True)
            for total, g in zip(squares, found, strict=True):
                total.add_(g**2 / COUNT)
    return [s * w**2 / 2 for s, w in zip(squares, twin.kernels, strict=True)]


def _grasp(twin: _Twin) -> list[torch.Tensor]:
    gradients = torch.autograd.grad(twin.loss(temperature=200), twin.kernels, create_graph=True)
    flow = torch.stack([(g * g.detach()).sum() for g in gradients]).sum()
    return [
        w * p for w, p in zip(twin.kernels, torch.autograd.grad(flow, twin.kernels), strict=True)
    ]


def _positive(twin: _Twin) -> list[torch.Tensor]:
    """Return ``θ ∂R/∂θ`` in double precision."""
    module = twin.module.double()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            shifts = name.endswith(("bias", "running_mean"))
            tensor.copy_(torch.zeros_like(tensor) if shifts else tensor.abs())
    flow = module(torch.ones(1, 3, 32, 32, dtype=torch.float64)).sum()
    kernels = [p for p in module.parameters() if p.dim() > 1]
    found = torch.autograd.grad(flow, kernels)
    return [w.detach() * g for w, g in zip(kernels, found, strict=True)]


IN_TORCH: dict[str, Callable[[_Twin], list[torch.Tensor]]] = {
    "snip": _snip,
    "taylor": _taylor,
    "fisher": _fisher,
    "obd": _obd,
    "grasp": _grasp,
}


def _close(found: Array, wanted: torch.Tensor, tolerance: float) -> None:
    right = wanted.detach().numpy()
    assert_allclose(found, right, rtol=0, atol=tolerance * float(np.abs(right).max()))


@pytest.mark.parametrize("name", IN_TORCH)
def test_scores_are_those_of_torch(name: str) -> None:
    of = _subject()
    scored = SALIENCY[name]().elements(of)
    for weight, right in zip(of.targets, IN_TORCH[name](_Twin()), strict=True):
        _close(scored(weight), right, 1e-3)


def _flow(model: Model) -> list[Array]:
    kernels = _kernels(model)
    flow = PositiveFlow(model, [w.name for w in kernels])
    return [*flow.scores({w.name: np.abs(w.array()) for w in kernels}).values()]


def test_flow_is_that_of_torch_in_double_precision() -> None:
    found, wanted = _flow(_subject().model), _positive(_Twin())
    factor = float(found[0].sum(dtype=np.float64)) / float(wanted[0].sum())
    for array, right in zip(found, wanted, strict=True):
        _close(array, right * factor, 1e-4)


def test_what_flows_into_a_deep_net_flows_out() -> None:
    """ResNet-56 has 55 convolutions in a row: its flow is beyond float32."""
    found = _flow(Model.load(MODELS / "cifar10_resnet56" / "resnet56_bn.onnx"))
    first, last = (float(found[i].sum(dtype=np.float64)) for i in (0, -1))
    assert np.isfinite(first)
    assert first == pytest.approx(last, rel=1e-3)
    assert min(array.sum() for array in found) > 0
