"""L1, L2 and group lasso: sums over chosen weights, with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.contract import Objective
from onnxpress.data.batch import Array
from onnxpress.errors import UnknownNameError, UsageError
from onnxpress.graph.model import Model
from onnxpress_training import objectives
from tests.graphs import graph, normal
from tests.plugins.training.building import LOSS, with_loss

TENSORS: dict[str, Array] = {
    "w1": normal(4, 3, 3, 3), "b1": normal(4, seed=1), "s": normal(4, seed=2),
    "b": normal(4, seed=3), "m": np.zeros(4), "v": np.ones(4),
    "w2": normal(4, 2, 2, 2, seed=4), "w3": normal(5, 4, seed=5),
}  # fmt: skip
TEXT = """
g (float[N,3,6,6] x) => (float[N,4,5,5] y, float[N,4] z) {
    a = Conv(x, w1, b1)
    c = BatchNormalization(a, s, b, m, v)
    y = ConvTranspose <group = 2> (c, w2)
    p = ReduceMean <keepdims = 0> (y)
    q = Expand(p, shape)
    z = MatMul(q, w3)
}"""


def model() -> Model:
    return graph(TEXT, shape=np.array([1, 5]), **TENSORS)


def penalty(objective: Objective, wrt: list[str]) -> tuple[float, dict[str, Array]]:
    made = with_loss(model(), objective)
    made.check()
    back = gradient(made, LOSS, wrt)
    found = back.run({"x": normal(1, 3, 6, 6)})
    return float(found[LOSS]), {name: found[gradient_name(name)] for name in wrt}


def check(objective: Objective, used: list[str], wanted: Any) -> None:
    """Compare with a function of torch tensors, float64, by name."""
    loss, slopes = penalty(objective, used)
    tensors = {n: torch.tensor(TENSORS[n].astype(float), requires_grad=True) for n in used}
    result = wanted(tensors)
    result.backward()
    assert loss == pytest.approx(result.item(), rel=1e-5)
    for name, tensor in tensors.items():
        assert tensor.grad is not None
        np.testing.assert_allclose(slopes[name], tensor.grad.numpy(), rtol=1e-5, atol=1e-6)


ELEMENTWISE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "weights": ({}, ["w1", "w2", "w3"]),
    "biases": ({"include_bias": True}, ["w1", "b1", "w2", "w3"]),
    "norm": ({"include_norm": True}, ["w1", "s", "w2", "w3"]),
    "all": ({"include_norm": True, "include_bias": True}, ["w1", "b1", "s", "b", "w2", "w3"]),
    "some": ({"layers": "op:Conv"}, ["w1"]),
    "others": ({"exclude": ["op:Conv", "op:BatchNormalization"]}, ["w2", "w3"]),
}


@pytest.mark.parametrize("case", ELEMENTWISE)
def test_l1_and_l2(case: str) -> None:
    options, used = ELEMENTWISE[case]
    check(objectives.L1(**options), used, lambda t: sum(w.abs().sum() for w in t.values()))
    check(objectives.L2(**options), used, lambda t: sum((w * w).sum() for w in t.values()))


def by_channel(t: dict[str, torch.Tensor], power: float) -> torch.Tensor:
    """Return the sum of lengths: of rows, of grouped columns, of columns."""
    w1, w3 = t["w1"].reshape(4, -1), t["w3"].T
    w2 = t["w2"].reshape(2, 2, 2, 4).movedim(2, 1).reshape(4, -1)  # (group, in, out, kernel)
    return sum((w.shape[1] ** power * w.norm(dim=1).sum() for w in (w1, w2, w3)), torch.tensor(0))


@pytest.mark.parametrize(("by_size", "power"), [(True, 0.5), (False, 0)])
def test_group_lasso_sums_over_output_channels(by_size: bool, power: float) -> None:  # noqa: FBT001
    objective = objectives.GroupLasso(by_size=by_size)
    check(objective, ["w1", "w2", "w3"], lambda t: by_channel(t, power))


def test_a_channel_of_zeros_has_no_slope() -> None:
    before = TENSORS["w3"].copy()
    TENSORS["w3"][:, 1] = 0
    try:
        loss, slopes = penalty(objectives.GroupLasso(layers="op:MatMul"), ["w3"])
    finally:
        TENSORS["w3"][:] = before
    assert np.isfinite(loss)
    assert not slopes["w3"][:, 1].any()
    assert slopes["w3"][:, 0].all()


def test_a_shared_weight_counts_once() -> None:
    shared = graph(
        "g (float[N,5] x) => (float[N,5] y) { h = MatMul(x, w) y = MatMul(h, w) }",
        w=np.ones((5, 5)),
    )
    assert with_loss(shared, objectives.L1()).run({"x": normal(1, 5)})[LOSS] == 25


def test_penalties_say_what_they_found_nothing_of() -> None:
    with pytest.raises(UsageError, match="l1: no layer that it is for has weights"):
        with_loss(model(), objectives.L1(layers="op:BatchNormalization"))
    with pytest.raises(UnknownNameError, match="no layer of type called 'Gemm'"):
        with_loss(model(), objectives.L2(layers="op:Gemm"))
    assert all(kind.penalty for kind in (objectives.L1, objectives.L2, objectives.GroupLasso))
