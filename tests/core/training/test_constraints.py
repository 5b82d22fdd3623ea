"""What training keeps true: pruned zeros, and constraints of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.autodiff.tensor import Tensor
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.graph.pruned import PRUNED
from onnxpress.job import Job
from onnxpress_pruning import MagnitudePruning
from tests.core.training.fitting import array_of, changed, fitted, weights
from tests.core.training.nets import convnet, images
from tests.graphs import graph, normal

OPTIONS: dict[str, Any] = {"batch": 8, "lr": 0.05, "epochs": 3}


def pruned(model: Model) -> Model:
    return MagnitudePruning(sparsity=0.6).apply(model, Job())


def zeros(model: Model) -> dict[str, Array]:
    return {name: array == 0 for name, array in weights(model).items() if (array == 0).any()}


@pytest.mark.parametrize(
    "optimizer", ["sgd", "sgd:momentum=0.9,nesterov=yes", "adamw", "adam", "lamb"]
)
def test_pruned_weights_stay_zero_whatever_the_optimizer(optimizer: str) -> None:
    before = pruned(convnet())
    assert set(zeros(before)) == {"w1", "w2", "w3"}
    after = fitted(before, images(), **OPTIONS, optimizer=optimizer, average=0.5).model
    for name, mask in zeros(before).items():
        np.testing.assert_array_equal(weights(after)[name] == 0, mask)
    assert after.ir.metadata_props[PRUNED] == before.ir.metadata_props[PRUNED]
    assert changed(before, after) == set(weights(before))


def test_zeros_stay_over_files_and_further_fits(tmp_path: Path) -> None:
    before = pruned(convnet())
    fitted(before, images(), **OPTIONS).model.save(tmp_path / "once.onnx")
    twice = fitted(Model.load(tmp_path / "once.onnx"), images(seed=3), **OPTIONS).model
    assert {n: m.tolist() for n, m in zeros(twice).items()} == {
        n: m.tolist() for n, m in zeros(before).items()
    }


def test_zeros_grow_if_they_need_not_be_kept() -> None:
    before = pruned(convnet())
    after = fitted(before, images(), **OPTIONS, keep_zeros=False).model
    assert set(zeros(after)) < set(zeros(before))  # a dead filter has no gradient


def test_zeros_that_nobody_pruned_may_grow() -> None:
    w = normal(4, 4)
    w[0] = 0
    model = graph("g (float[N,4] x) => (float[N,4] y) { y = MatMul(x, w) }", w=w)
    source = {"x": normal(8, 4), "labels": normal(8, 4, seed=2)}
    assert (array_of(fitted(model, source).model, "w") != 0).all()


@dataclass(frozen=True)
class Within:
    """Keep a parameter within ±1/4."""

    def apply(self, parameter: Tensor) -> Tensor:
        op = parameter.op
        ends = (op.constant(end, parameter.dtype) for end in (-0.25, 0.25))
        return op("Clip", parameter, *ends)


def test_a_constraint_of_ones_own_adds_to_the_zeros() -> None:
    before = pruned(convnet())
    constraints: Mapping[str, Any] = {"w2": Within()}
    after = weights(fitted(before, images(), **OPTIONS, constraints=constraints).model)
    assert np.abs(after["w2"]).max() == 0.25
    assert np.abs(after["w3"]).max() > 0.25
    np.testing.assert_array_equal(after["w1"] == 0, zeros(before)["w1"])


def test_both_constraints_of_one_tensor_hold() -> None:
    before = pruned(convnet())
    after = weights(fitted(before, images(), **OPTIONS, constraints={"w2": Within()}).model)
    np.testing.assert_array_equal(after["w2"] == 0, zeros(before)["w2"])
