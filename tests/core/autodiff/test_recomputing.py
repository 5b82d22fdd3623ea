"""Computing again what the way back needs, instead of keeping it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.errors import UnknownNameError, UsageError
from onnxpress.graph.model import Model
from tests.graphs import graph, normal

WEIGHTS = ["w1", "w2", "w3", "w4"]
LAYERS = len(WEIGHTS)


def deep() -> Model:
    """Return four layers of which every one needs its input and its output on the way back."""
    return graph(
        """g (float[N,6] x) => (float[N,6] h4) {
            a1 = MatMul(x, w1)  h1 = Tanh(a1)
            a2 = MatMul(h1, w2) h2 = Tanh(a2)
            a3 = MatMul(h2, w3) h3 = Tanh(a3)
            a4 = MatMul(h3, w4) h4 = Tanh(a4)
        }""",
        **{name: normal(6, 6, seed=seed) for seed, name in enumerate(WEIGHTS)},
    )


def read_late(model: Model, forward: int) -> set[str]:
    """Return the values of the forward pass that nodes after it read."""
    nodes = list(model.ir.graph)
    computed = {value.name for node in nodes[:forward] for value in node.outputs}
    read = {value.name for node in nodes[forward:] for value in node.inputs if value is not None}
    return {name for name in computed & read if name}


@pytest.mark.parametrize("checkpoint", [["h2"], ["h1", "h3"], ["a2"], 2, 3, 0])
def test_gradients_are_the_same(checkpoint: Sequence[str] | int) -> None:
    model, x = deep(), normal(5, 6, seed=9)
    plain = gradient(model, "h4", WEIGHTS).run({"x": x})
    again = gradient(model, "h4", WEIGHTS, checkpoint=checkpoint)
    again.check()
    found = again.run({"x": x})
    for name in map(gradient_name, WEIGHTS):
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-6, atol=1e-6)


def test_only_what_is_kept_is_read_again() -> None:
    forward = 2 * LAYERS
    plain = read_late(gradient(deep(), "h4", WEIGHTS), forward)
    kept = read_late(gradient(deep(), "h4", WEIGHTS, checkpoint=["h2"]), forward)
    assert {"h1", "h2", "h3", "h4"} <= plain
    assert "h1" not in kept  # of the first part, only its end
    assert {"h2", "h3", "h4"} <= kept  # the last part is not computed twice


def test_what_is_computed_again_waits_for_the_way_back() -> None:
    """Else ONNX Runtime would run it at once, or merge it with the first time."""
    model = gradient(deep(), "h4", WEIGHTS, checkpoint=["h2"])
    again = [node for node in model.ir.graph if node.op_type == "Tanh"][LAYERS:]
    assert len(again) == 1  # h1; h2 is kept
    product = again[0].inputs[0].producer()  # type: ignore[union-attr]
    assert product is not None and product.op_type == "MatMul"  # noqa: PT018
    waiting = product.inputs[0].producer()  # type: ignore[union-attr]
    assert waiting is not None and waiting.op_type == "Reshape"  # noqa: PT018


def test_random_nodes_are_not_run_twice() -> None:
    model = graph(
        """g (float[N,6] x) => (float[N,6] y) {
            r = RandomNormalLike(x)
            b = Mul(x, r)
            h = Mul(b, w)
            t = Tanh(h)
            y = Mul(t, t)
        }""",
        w=normal(6),
    )
    again = gradient(model, "y", "w", checkpoint=["t"])
    assert [node.op_type for node in again.ir.graph].count("RandomNormalLike") == 1


def test_gradients_of_recomputed_gradients() -> None:
    model, x = deep(), normal(5, 6, seed=9)
    first = gradient(model, "h4", "w1", checkpoint=2)
    plain = gradient(gradient(model, "h4", "w1"), "grad.w1", "w2", called="second.{}")
    second = gradient(first, "grad.w1", "w2", called="second.{}")
    np.testing.assert_allclose(
        second.run({"x": x})["second.w2"], plain.run({"x": x})["second.w2"], rtol=1e-4, atol=1e-5
    )


def test_names_and_numbers_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="no tensor called 'h9'; did you mean"):
        gradient(deep(), "h4", "w1", checkpoint=["h9"])
    with pytest.raises(UsageError, match="checkpoint=1: give at least 2"):
        gradient(deep(), "h4", "w1", checkpoint=1)
    with pytest.raises(UsageError, match="checkpoint=-2: give at least 2"):
        gradient(deep(), "h4", "w1", checkpoint=-2)


def test_running_statistics_are_not_shared_with_a_copy() -> None:
    """ONNX Runtime writes new ones where the old ones lie: a copy of the node needs others."""
    model = graph(
        """g (float[N,4,3] x, float[4] m, float[4] v)
            => (float[N,4,3] y, float[4] m1, float[4] v1) {
            c = Conv(x, w)
            n, m1, v1 = BatchNormalization<training_mode=1>(c, s, s, m, v)
            r = Tanh(n)
            q = Neg(r)
            y = Conv(q, w)
        }""",
        w=normal(4, 4, 1),
        s=normal(4, seed=1),
    )
    nodes = gradient(model, "y", ["w", "s"], checkpoint=["q"]).ir.graph
    forward, copy = (node for node in nodes if node.op_type == "BatchNormalization")
    assert [v.name for v in forward.inputs[3:] if v is not None] == ["m", "v"]
    makers = [value.producer() for value in copy.inputs[3:] if value is not None]
    assert [None if maker is None else maker.op_type for maker in makers] == ["Sum", "Sum"]
