"""The loss of a model as a graph: what goes in, what comes out, and where it touches the model."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.data.batch import Batch
from onnxpress.errors import DataError, UsageError
from onnxpress.graph.model import Model
from onnxpress.plugins import Plugins
from onnxpress.recipe.steps import make_objective
from onnxpress.training.loss import LOSS, Loss, build_loss
from tests.core.training.nets import convnet, images, mlp, samples, torch_convnet
from tests.graphs import graph, normal

PLUGINS = Plugins.discover()


def _loss(model: Model, *objectives: str, names: tuple[str, ...] = ()) -> Loss:
    given = [make_objective(one, PLUGINS) for one in objectives or ("cross-entropy",)]
    return build_loss(model, given, np.array([0, 1, 2]), names)


def _batch(arrays: dict[str, np.ndarray]) -> Batch:
    return Batch({"x": arrays["x"]}, arrays["labels"])


def test_it_is_torchs_with_running_statistics() -> None:
    arrays, twin = images(12), torch_convnet(frozen=True)
    loss = _loss(convnet())
    found = loss.model.run(loss.feeds(_batch(arrays), "the batch"))
    assert [*found] == [LOSS]
    wanted = twin.loss(arrays["x"], arrays["labels"]).item()
    assert float(found[LOSS]) == pytest.approx(wanted, rel=1e-5)


def test_its_gradient_is_torchs() -> None:
    arrays, twin = images(12), torch_convnet(frozen=True)
    loss = _loss(convnet())
    twin.loss(arrays["x"], arrays["labels"]).backward()  # type: ignore[no-untyped-call]
    found = gradient(loss.model, LOSS, [*twin.parameters]).run(
        loss.feeds(_batch(arrays), "the batch")
    )
    for name, parameter in twin.parameters.items():
        assert parameter.grad is not None
        wanted = parameter.grad.numpy()
        size = float(np.abs(wanted).max())
        np.testing.assert_allclose(found[gradient_name(name)], wanted, atol=1e-5 * size)


def test_objectives_are_summed_with_their_weights() -> None:
    arrays, model = samples(5), mlp()
    one, two = _loss(model), _loss(model, "cross-entropy:weight=3", "l2:weight=0.5", names=("w1",))
    plain, both = (
        float(loss.model.run(loss.feeds(_batch(arrays), "the batch"))[LOSS]) for loss in (one, two)
    )
    w = next(layer.weight for layer in model.layers).array()
    penalty = make_objective("l2:weight=0.5", PLUGINS)
    assert penalty.penalty
    alone = both - 3 * plain
    assert alone > 0
    assert alone == pytest.approx(0.5 * float(np.square(w).sum()), rel=1e-3)


@pytest.mark.parametrize(
    ("end", "scores"),
    [("y = Identity(h)", "y"), ("y = Softmax(h)", "h"), ("y = LogSoftmax(h)", "h")],
)
def test_scores_are_what_comes_before_the_softmax(end: str, scores: str) -> None:
    model = graph(
        f"g (float[N,6] x) => (float[N,3] y) {{ h = MatMul(x, w) {end} }}", w=normal(6, 3)
    )
    assert _loss(model).scores == scores


def test_two_heads_have_no_one_tensor() -> None:
    model = graph(
        "g (float[N,6] x) => (float[N,3] y, float[N,3] z) { y = MatMul(x, w) z = MatMul(x, v) }",
        w=normal(6, 3),
        v=normal(6, 3, seed=1),
    )
    both = _loss(model, "cross-entropy:output=y", "cross-entropy:output=z")
    assert both.scores is None
    assert both.unreached(["w", "v"]) == []
    assert _loss(model, "cross-entropy:output=y").unreached(["w", "v"]) == ["v"]


def test_a_batch_without_labels_is_refused() -> None:
    with pytest.raises(DataError, match="batch 3 has no labels, and the first batch had some"):
        _loss(mlp()).feeds(Batch({"x": samples(4)["x"]}), "batch 3")


def test_no_objective_is_refused() -> None:
    with pytest.raises(UsageError, match="there is nothing to minimise"):
        build_loss(mlp(), (), np.array([0]), ())


def test_the_model_stays_as_it_is() -> None:
    model = convnet()
    before = [node.op_type for node in model.ir.graph]
    _loss(model)
    assert [node.op_type for node in model.ir.graph] == before
