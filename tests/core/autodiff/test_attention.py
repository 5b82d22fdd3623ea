"""Attention with a cache of keys and values, which ONNX Runtime runs only with all its outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from tests.graphs import graph, normal

FLOATS = ["q", "k", "v", "m", "pk", "pv"]
FEEDS = {
    "q": normal(2, 4, 3, 6),
    "k": normal(2, 2, 5, 6, seed=1),
    "v": normal(2, 2, 5, 7, seed=2),
    "m": normal(3, 7, seed=3),
    "pk": normal(2, 2, 2, 6, seed=4),
    "pv": normal(2, 2, 2, 7, seed=5),
}
COTANGENTS = {
    "cy": normal(2, 4, 3, 7, seed=6),
    "ck": normal(2, 2, 7, 6, seed=7),
    "cv": normal(2, 2, 7, 7, seed=8),
}
OF = {"y": "cy", "keys": "ck", "values": "cv"}


def cached(sizes: str = "numbers") -> Model:
    """Heads that share keys, with a cache."""
    b, s, t, p = ("B", "S", "T", "P") if sizes == "symbols" else (2, 3, 5, 2)
    return graph(
        f"""<ir_version: 10, opset_import: ["": 23]>
        g (float[{b},4,{s},6] q, float[{b},2,{t},6] k, float[{b},2,{t},7] v, float[3,7] m,
           float[{b},2,{p},6] pk, float[{b},2,{p},7] pv)
        => (float[b,4,s,7] y, float[b,2,u,6] keys, float[b,2,u,7] values) {{
            y, keys, values = Attention<softcap = 1.5>(q, k, v, m, pk, pv)
        }}"""
    )


def wanted() -> dict[str, Array]:
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    x: dict[str, Any] = {n: torch.tensor(a).double().requires_grad_() for n, a in FEEDS.items()}
    keys, values = torch.cat([x["pk"], x["k"]], 2), torch.cat([x["pv"], x["v"]], 2)
    k, v = keys.repeat_interleave(2, 1), values.repeat_interleave(2, 1)
    scores = 1.5 * torch.tanh(x["q"] @ k.transpose(2, 3) * 6**-0.5 / 1.5) + x["m"]
    results = (scores.softmax(-1) @ v, keys, values)
    pairs = zip(results, COTANGENTS.values(), strict=True)
    sum((y * torch.tensor(c).double()).sum() for y, c in pairs).backward()
    return {name: tensor.grad.numpy() for name, tensor in x.items()}


@pytest.mark.parametrize("sizes", ["numbers", "symbols"])
def test_gradients_reach_what_is_new_and_what_is_past(sizes: str) -> None:
    found = gradient(cached(sizes), OF, FLOATS).run({**FEEDS, **COTANGENTS})
    for name, array in wanted().items():
        np.testing.assert_allclose(found[gradient_name(name)], array, rtol=1e-3, atol=1e-5)


def test_gradients_with_a_past_can_be_differentiated() -> None:
    first = gradient(cached(), OF, FLOATS)
    slopes = {gradient_name(name): f"v.{name}" for name in FLOATS}
    second = gradient(first, slopes, FLOATS, called="second.{}")
    vectors = {f"v.{name}": normal(*FEEDS[name].shape, seed=9) for name in FLOATS}
    found = second.run({**FEEDS, **COTANGENTS, **vectors})
    along = {name: normal(*FEEDS[name].shape, seed=10) for name in FLOATS}

    def total(step: float) -> float:
        moved = {name: FEEDS[name] + np.float32(step) * along[name] for name in FLOATS}
        out = first.run({**moved, **COTANGENTS})
        return sum(float((out[s].astype(np.float64) * vectors[v]).sum()) for s, v in slopes.items())

    got = sum(float((found[f"second.{name}"] * along[name]).sum()) for name in FLOATS)
    assert got == pytest.approx((total(3e-3) - total(-3e-3)) / 6e-3, rel=1e-2)


def test_a_row_that_may_look_nowhere_has_no_slope() -> None:
    model = graph(
        """<ir_version: 10, opset_import: ["": 23]>
        g (float[1,1,2,4] q, float[1,1,3,4] k, float[1,1,3,4] v, bool[2,3] m)
        => (float[1,1,2,4] y) { y = Attention(q, k, v, m) }"""
    )
    feeds = {"q": normal(1, 1, 2, 4), "k": normal(1, 1, 3, 4), "v": normal(1, 1, 3, 4, seed=1)}
    seen = np.array([[True, True, False], [False, False, False]])
    found = gradient(model, "y", ["q", "k", "v"]).run({**feeds, "m": seen})
    assert found["grad.q"][0, 0, 0].any()
    assert not found["grad.q"][0, 0, 1].any()
    assert not found["grad.v"][0, 0, 2].any()
    assert all(np.isfinite(array).all() for array in found.values())
