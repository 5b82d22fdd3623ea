"""grasp against PyTorch differentiated twice."""

from __future__ import annotations

import pytest
import torch

from onnxpress.errors import UsageError
from onnxpress_pruning.criteria.gradients_second import Grasp
from tests.core.training.nets import torch_convnet
from tests.graphs import graph, normal
from tests.plugins.pruning.criteria.saliency import KERNELS, SAMPLES, close, scores, subject


def _torch(temperature: float) -> dict[str, torch.Tensor]:
    """Return ``θ ⊙ Hg`` over the kernels."""
    twin = torch_convnet(frozen=True)
    kernels = [twin.parameters[name] for name in KERNELS]
    out = twin.forward(twin.parameters, torch.tensor(SAMPLES["x"])) / temperature
    loss = torch.nn.functional.cross_entropy(out, torch.tensor(SAMPLES["labels"]))
    gradients = torch.autograd.grad(loss, kernels, create_graph=True)
    flow = sum((g * g.detach()).sum() for g in gradients)
    products = torch.autograd.grad(flow, kernels)  # type: ignore[arg-type]
    return {n: w.detach() * p for n, w, p in zip(KERNELS, kernels, products, strict=True)}


@pytest.mark.parametrize("temperature", [200, 1])
def test_it_is_the_weight_times_hessian_times_gradient(temperature: float) -> None:
    found = scores(Grasp(temperature=temperature), subject())
    close(found, _torch(temperature))
    assert any((array < 0).any() for array in found.values())


def test_the_default_temperature_is_that_of_the_paper() -> None:
    close(scores(Grasp(), subject()), _torch(200))


def test_a_softmax_at_the_end_makes_no_difference() -> None:
    weights = {"w": normal(6, 5) * 0.5, "v": normal(5, 3) * 0.5}
    body = "h = MatMul(x, w) t = Tanh(h) {} = MatMul(t, v)"
    data = {"x": normal(8, 6), "labels": [0, 1, 2, 0, 1, 2, 0, 1]}
    texts = (
        f"g (float[N,6] x) => (float[N,3] y) {{ {body.format('y')} }}",
        f"g (float[N,6] x) => (float[N,3] y) {{ {body.format('s')} y = Softmax(s) }}",
        f"g (float[N,6] x) => (float[N,3] y) {{ {body.format('s')} y = LogSoftmax(s) }}",
    )
    first, *others = (
        scores(Grasp(), subject(graph(t, **weights), ("w", "v"), data)) for t in texts
    )
    for other in others:
        close(other, first)


def test_two_heads_have_no_temperature() -> None:
    model = graph(
        "g (float[N,6] x) => (float[N,3] y, float[N,3] z) { y = MatMul(x, w) z = MatMul(x, v) }",
        w=normal(6, 3),
        v=normal(6, 3, seed=1),
    )
    data = {"x": normal(4, 6), "labels": [0, 1, 2, 0]}
    both = ("cross-entropy:output=y", "cross-entropy:output=z")
    with pytest.raises(UsageError, match=r"depends on several tensors.*give temperature=1"):
        Grasp().elements(subject(model, ("w", "v"), data, objective=both))
    scores(Grasp(temperature=1), subject(model, ("w", "v"), data, objective=both))
