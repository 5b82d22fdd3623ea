"""A step trains one operator where the model writes it out, and nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.training import step as steps
from onnxpress.training.optimizers import make_optimizer
from onnxpress.training.running import Runner
from onnxpress.training.step import LOSS, Plan, Step, build_step
from onnxpress.training.update import COUNT, RATE, Update
from onnxpress_training.objectives import MeanSquaredError
from tests.core.training.fitting import PLAIN, fitted
from tests.graphs import graph, normal

X = normal(16, 8, seed=5)
Y = normal(16, 8, seed=6)
BODY = """
    h = MatMul(x, w)
    u = ReduceMean<keepdims=1>(h, last) d = Sub(h, u) q = Mul(d, d)
    v = ReduceMean<keepdims=1>(q, last) s = Add(v, eps) r = Sqrt(s) n = Div(d, r)
    g = Mul(n, gamma) b = Add(g, beta)
    c = Div(b, root) e = Erf(c) a = Add(e, one) m = Mul(b, a) y = Mul(m, half)"""


def model() -> Model:
    return graph(
        f"g (float[N,8] x) => (float[N,8] y) {{ {BODY} }}",
        w=normal(8, 8, seed=1) * 0.5,
        gamma=1 + normal(8, seed=2) * 0.1,
        beta=normal(8, seed=3) * 0.1,
        last=np.array([-1]),
        **{
            n: np.float32(v)
            for n, v in [("eps", 1e-5), ("root", 2**0.5), ("one", 1), ("half", 0.5)]
        },
    )


def built(*outputs: str) -> Step:
    objectives = tuple(MeanSquaredError(output=output) for output in ("y", *outputs))
    update = Update(make_optimizer("adam"))
    return build_step(model(), Plan(("w", "gamma", "beta"), objectives, update), Y)


def losses(step: Step, count: int = 5) -> list[float]:
    runner = Runner(step, threads=1)
    feeds: dict[str, Array] = {"x": X, RATE: np.array(0.01, np.float32)}
    feeds.update({label.name: Y for label in step.labels})
    return [runner.run({**feeds, COUNT: np.array(i + 1, np.float32)})[LOSS] for i in range(count)]


def operators(step: Step) -> set[str]:
    return {node.op_type for node in step.model.ir.graph}


def test_the_losses_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    after = built()
    monkeypatch.setattr(steps, "gather", lambda *_: False)
    before = built()
    assert {"Gelu", "LayerNormalization"} <= operators(after)
    assert {"Gelu", "LayerNormalization"}.isdisjoint(operators(before))
    np.testing.assert_allclose(losses(after), losses(before), rtol=1e-6)


@pytest.mark.parametrize(
    ("output", "gathered"),
    [("e", {"LayerNormalization"}), ("n", {"Gelu"}), ("b", {"Gelu", "LayerNormalization"})],
)
def test_an_objective_may_read_what_lies_between(output: str, gathered: set[str]) -> None:
    """Then that operator stays written out; ``b`` lies between the two."""
    step = built(output)
    assert operators(step) & {"Gelu", "LayerNormalization"} == gathered
    assert all(np.isfinite(losses(step)))


def test_the_model_that_comes_back_is_written_as_it_was() -> None:
    before = model()
    options = {**PLAIN, "epochs": 1, "batch": 8, "objective": ["mean-squared-error"]}
    after = fitted(before, {"x": X, "labels": Y}, **options).model
    assert [n.op_type for n in after.ir.graph] == [n.op_type for n in before.ir.graph]
