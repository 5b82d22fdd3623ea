"""The steps ``finetune`` and ``train``: what they make of a model, and what they report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import onnxpress
from onnxpress import Job, Model, Plugins
from onnxpress.autodiff.tensor import Tensor
from onnxpress.contract import Objective
from onnxpress.data import open_data
from onnxpress.errors import MissingRuleError, UnknownNameError, UsageError
from onnxpress.recipe import make_step
from onnxpress.testing import check_transform
from onnxpress.testing.require import as_bytes
from onnxpress.training.goal import Goal
from onnxpress.training.options import Training
from onnxpress_training import Finetune, Train
from tests.core.training.fitting import changed, weights
from tests.core.training.nets import convnet, images, mlp, samples
from tests.fakes import offering
from tests.graphs import graph, normal

OPTIONS = Training(epochs=20, batch=8, lr=0.05, threads=1)


def job(model: Model, source: Any, seed: int = 0) -> Job:
    return Job(open_data(source, model), seed)


def accuracy(model: Model, source: Any) -> float:
    (scores,) = model.run({"x": source["x"]}).values()
    return float((scores.argmax(1) == source["labels"]).mean())


@pytest.mark.parametrize("step", [Finetune(train=OPTIONS), Train(train=OPTIONS)])
def test_a_model_learns(step: Any) -> None:
    source = samples(80)
    assert accuracy(mlp(), source) < 0.6
    result = check_transform(step, mlp(), open_data(source, mlp()))
    assert accuracy(result, source) > 0.9
    assert changed(mlp(), result) == {"w1", "b1", "w2", "b2"}


def test_the_weights_given_play_no_part_in_training_from_scratch() -> None:
    other = mlp().edit()
    for layer in other.layers:
        other.set_weight(layer.weight, layer.weight.array() * 3)
    results = [Train().apply(model, job(model, samples())) for model in (mlp(), other.done())]
    assert weights(results[0])["w1"].tobytes() == weights(results[1])["w1"].tobytes()
    third = Train(initializer="orthogonal").apply(mlp(), job(mlp(), samples()))
    assert weights(third)["w1"].tobytes() != weights(results[0])["w1"].tobytes()
    fresh = Train().apply(convnet(), job(convnet(), images()))
    assert not np.array_equal(weights(fresh)["v"], weights(convnet())["v"])


def test_what_is_reported() -> None:
    text = "g (float[N,4] x) => (float[N,4] y, float[N,4] z) { y = MatMul(x, w) z = MatMul(y, v) }"
    model = graph(text, w=normal(4, 4), v=normal(4, 4, seed=1))
    source = {"x": normal(32, 4), "labels": normal(32, 4, seed=2)}
    options: dict[str, Any] = {
        "epochs": 3,
        "objective": "mean-squared-error:output=y",
        "average": 0.5,
    }
    mine = job(model, source)
    Finetune(train=Training(**options)).apply(model, mine)
    (change,) = mine.changed
    assert change.subject == "weights"
    assert list(change.details) == [
        "epochs", "tensors", "loss at first", "loss", "mean-squared-error at first",
        "mean-squared-error", "moving average",
    ]  # fmt: skip
    assert (change.details["epochs"], change.details["tensors"]) == (3, 1)
    assert [(d.subject, d.reason) for d in mine.declined] == [
        ("v", "the loss does not depend on it")
    ]
    first, last = change.details["loss at first"], change.details["loss"]
    assert mine.summary == f"3 epochs, loss {first:.3g} → {last:.3g}"


def overridable() -> Model:
    return graph(
        "g (float[N,6] x, float[6,3] w) => (float[N,3] y) { y = MatMul(x, w) }", w=normal(6, 3)
    )


@pytest.mark.parametrize("kind", [Finetune, Train])
def test_old_files_are_trained_when_their_inputs_are_dropped(kind: Any) -> None:
    model = overridable()
    with pytest.raises(UsageError, match="callers may override; freeze=true drops that"):
        kind().apply(model, job(model, samples()))
    result = kind(freeze=True).apply(model, job(model, samples()))
    assert [value.name for value in result.inputs] == ["x"]
    assert len(result.parameters) == 1


class Distance(Objective):
    """An objective that only one set of plugins has."""

    name: ClassVar[str] = "distance"

    def build(self, goal: Goal) -> Tensor:
        off = goal.tensor() - goal.need_labels("distance").cast(goal.tensor().dtype)
        return (off * off).sum(keepdims=False)


def test_objectives_are_those_of_the_plugins_that_run_the_recipe() -> None:
    plugins = Plugins.discover()
    plugins.add("acme", offering(objectives=[Distance]))
    text = "g (float[N,6] x) => (float[N,3] y) { y = MatMul(x, w) }"
    model = graph(text, w=normal(6, 3))
    source = {"x": normal(32, 6), "labels": normal(32, 3, seed=1)}
    step = {"use": "finetune", "objective": "distance", "epochs": 2}
    result = onnxpress.compress(model, [step], data=source, plugins=plugins)
    assert result.report.steps[0].changed[0].details["distance"] > 0
    with pytest.raises(UnknownNameError, match="no objective called 'distance'"):
        onnxpress.compress(model, [step], data=source, plugins=Plugins.discover())


def test_a_missing_rule_says_which_layers_are_left() -> None:
    model = graph(
        """g (float[N,6] x) => (float[N,3] y) {
            a = MatMul(x, w) f = com.microsoft.FastGelu(a) y = Gemm(f, v, b)
        }""",
        w=normal(6, 4), v=normal(4, 3), b=normal(3),
    )  # fmt: skip
    with pytest.raises(MissingRuleError) as caught:
        Finetune().apply(model, job(model, samples()))
    assert caught.value.free == {"v", "b"}
    assert caught.value.__notes__ == [
        "to train only layers that need no such rule, give train-layers: y"
    ]
    only = Finetune(train=Training(train_layers="y"))
    assert changed(model, only.apply(model, job(model, samples()))) == {"v", "b"}


def test_steps_of_a_recipe_are_recorded_and_keep_each_other(tmp_path: Path) -> None:
    result = onnxpress.compress(
        mlp(),
        ["magnitude-pruning:sparsity=0.5", "finetune:epochs=3,lr=0.05,batch=8,threads=1"],
        data=samples(80),
        validation=samples(40, seed=3),
        metric="top-1",
    )
    assert result.report.after.sparsity == 0.5
    result.model.save(tmp_path / "m.onnx")
    history = Model.load(tmp_path / "m.onnx").provenance.history
    assert [step["name"] for step in history] == ["magnitude-pruning", "finetune"]
    assert history[1]["options"]["train"]["epochs"] == 3
    again = onnxpress.compress(mlp(), [{**s["options"], "use": s["name"]} for s in history],
                               data=samples(80))  # fmt: skip
    assert as_bytes(again.model) == as_bytes(result.model)


@pytest.mark.parametrize(
    "written",
    [
        "finetune:epochs=2,lr=0.1",
        "finetune:train={epochs=2,lr=0.1}",
        {"use": "finetune", "train": {"epochs": 2}, "lr": 0.1},
    ],
)
def test_ways_to_write_it(written: Any) -> None:
    step = make_step(written, Plugins.discover())
    assert step == Finetune(train=Training(epochs=2, lr=0.1))
