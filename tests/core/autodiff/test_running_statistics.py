"""BatchNormalization in training: its statistics may be part of a loss, as in DeepInversion."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.autodiff import gradient
from onnxpress.graph.model import Model
from tests.graphs import graph, normal

FEEDS = {
    "x": normal(4, 3, 5, 2), "w": normal(3, seed=1), "b": normal(3, seed=2),
    "mean": normal(3, seed=3), "var": np.abs(normal(3, seed=4)) + 1,
}  # fmt: skip
WEIGHTS = {"cy": normal(4, 3, 5, 2, seed=5), "cm": normal(3, seed=6), "cv": normal(3, seed=7)}
OF = {"y": "cy", "m": "cm", "v": "cv"}


def trained(shape: str) -> Model:
    return graph(
        f"""g (float{shape} x, float[3] w, float[3] b, float[3] mean, float[3] var)
        => (float{shape} y, float[3] m, float[3] v) {{
            y, m, v = BatchNormalization<training_mode = 1, momentum = 0.7>(x, w, b, mean, var)
        }}"""
    )


@pytest.mark.parametrize("shape", ["[4,3,5,2]", "[N,3,H,W]", "[]"])
def test_output_and_statistics_add_up(shape: str) -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    found = gradient(trained(shape), OF, list(FEEDS)).run({**FEEDS, **WEIGHTS})

    x, w, b, mean, var = leaves = [
        torch.tensor(a).double().requires_grad_() for a in FEEDS.values()
    ]
    y = torch.nn.functional.batch_norm(x, None, None, w, b, training=True)
    m = mean * 0.7 + x.mean((0, 2, 3)) * 0.3
    v = var * 0.7 + x.var((0, 2, 3), correction=0) * 0.3
    pairs = zip((y, m, v), WEIGHTS.values(), strict=True)
    sum((out * torch.tensor(c).double()).sum() for out, c in pairs).backward()
    for name, leaf in zip(FEEDS, leaves, strict=True):
        np.testing.assert_allclose(found[f"grad.{name}"], leaf.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_statistics_alone_have_gradients() -> None:
    found = gradient(trained("[4,3,5,2]"), {"m": "cm"}, ["x", "mean"])
    result = found.run({**FEEDS, "cm": WEIGHTS["cm"]})
    np.testing.assert_allclose(result["grad.mean"], WEIGHTS["cm"] * 0.7, rtol=1e-5)
    share = (WEIGHTS["cm"] * 0.3 / 40).reshape(3, 1, 1)
    np.testing.assert_allclose(result["grad.x"], np.broadcast_to(share, (4, 3, 5, 2)), rtol=1e-5)
