"""obd against the exact diagonal of PyTorch's Hessian."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from onnxpress.errors import UsageError
from onnxpress_pruning.criteria import curvature
from onnxpress_pruning.criteria.gradients_curvature import Obd
from tests.core.training.nets import torch_convnet
from tests.graphs import graph, normal
from tests.plugins.pruning.criteria.saliency import KERNELS, SAMPLES, close, scores, subject


def _hessian_diagonal() -> dict[str, torch.Tensor]:
    """Return ``½ H_qq w²`` with every second derivative taken exactly, kernel by kernel."""
    twin = torch_convnet(frozen=True)
    start = {name: p.detach() for name, p in twin.parameters.items()}
    x, y = torch.tensor(SAMPLES["x"]), torch.tensor(SAMPLES["labels"])
    wanted = {}
    for name in KERNELS:

        def loss(w: torch.Tensor, name: str = name) -> torch.Tensor:
            given = {**start, name: w}
            return torch.nn.functional.cross_entropy(twin.forward(given, x), y)

        w = start[name]
        full = torch.func.jacrev(torch.func.grad(loss))(w).reshape(w.numel(), w.numel())
        wanted[name] = full.diagonal().reshape(w.shape) * w**2 / 2
    return wanted


def test_it_is_the_diagonal_of_the_hessian_of_a_net_with_relu() -> None:
    close(scores(Obd(), subject()), _hessian_diagonal())


def test_draws_come_close_to_all_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = scores(Obd(), subject())
    monkeypatch.setattr(curvature, "_EXACT", 1)
    monkeypatch.setattr(curvature, "_DRAWS", 400)
    drawn = scores(Obd(), subject())
    for name, array in exact.items():
        assert np.abs(drawn[name] - array).sum() < 0.15 * array.sum()
        assert drawn[name].sum() == pytest.approx(array.sum(), rel=0.05)


def test_draws_depend_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curvature, "_EXACT", 1)
    first, again = scores(Obd(), subject()), scores(Obd(), subject())
    other = scores(Obd(), subject(seed=1))
    assert np.array_equal(first["w2"], again["w2"])
    assert not np.array_equal(first["w2"], other["w2"])


def test_squared_errors_have_it_too() -> None:
    """``mean (x·w - y)²`` over N samples and 3 outputs: H = 2/3 mean x²."""
    model = graph("g (float[N,6] x) => (float[N,3] y) { y = MatMul(x, w) }", w=normal(6, 3))
    x = normal(5, 6, seed=1)
    of = subject(model, ("w",), {"x": x, "labels": normal(5, 3, seed=2)})
    second = np.repeat((x**2).mean(0)[:, None], 3, axis=1) * 2 / 3
    close(scores(Obd(), of), {"w": second * of.targets[0].array() ** 2 / 2})


def test_several_outputs_are_refused() -> None:
    model = graph(
        "g (float[N,6] x) => (float[N,3] y, float[N,3] z) { y = MatMul(x, w) z = MatMul(x, v) }",
        w=normal(6, 3),
        v=normal(6, 3, seed=1),
    )
    data = {"x": normal(4, 6), "labels": [0, 1, 2, 0]}
    both = ("cross-entropy:output=y", "cross-entropy:output=z")
    with pytest.raises(UsageError, match="one tensor of the model, and it depends on several"):
        Obd().elements(subject(model, ("w", "v"), data, objective=both))
