"""Which tensors are trained: those of chosen layers, and everything else stays bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.errors import UnknownNameError, UsageError
from onnxpress.graph.model import Model
from onnxpress.training.targets import (
    choose_parameters,
    inside_functions,
    left_alone,
    outside_layers,
)
from tests.core.training.fitting import PLAIN, array_of, changed, fitted
from tests.core.training.nets import convnet, images
from tests.graphs import graph, normal

EVERYTHING = {"w1", "s", "b", "m", "v", "w2", "b2", "w3", "b3"}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, EVERYTHING),
        ({"train_layers": "y"}, {"w3", "b3"}),
        ({"freeze_layers": ["op:Conv", "n"]}, {"w3", "b3"}),
        ({"train_layers": "op:Conv"}, {"w1", "w2", "b2"}),
        ({"train_layers": ["n", "y"], "freeze_layers": "y"}, {"s", "b", "m", "v"}),
        ({"batch_norm": "frozen"}, EVERYTHING - {"m", "v"}),
    ],
)
def test_only_chosen_layers_change(options: dict[str, Any], wanted: set[str]) -> None:
    # A frozen normalisation keeps its running statistics too.
    model = convnet()
    result = fitted(model, images(), **{**PLAIN, "lr": 0.1, "batch": 10}, **options)
    assert changed(model, result.model) == wanted
    assert set(result.trained) == wanted - {"m", "v"}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd:momentum=0.9,weight-decay=0.1", "lamb"])
def test_weight_decay_touches_nothing_that_is_frozen(optimizer: str) -> None:
    model = convnet()
    options: dict[str, Any] = {"optimizer": optimizer, "average": 0.5, "train_layers": "d"}
    assert changed(model, fitted(model, images(), **options).model) == {"w2", "b2"}


def shared() -> Model:
    return graph(
        "g (float[N,4] x) => (float[N,4] y) { a = MatMul(x, w) b = MatMul(a, v) y = MatMul(b, w) }",
        w=normal(4, 4),
        v=normal(4, 4, seed=1),
    )


def test_a_tensor_that_a_frozen_layer_shares_stays() -> None:
    model, source = shared(), {"x": normal(8, 4), "labels": normal(8, 4, seed=2)}
    assert changed(model, fitted(model, source, freeze_layers="a").model) == {"v"}
    assert changed(model, fitted(model, source, train_layers="b").model) == {"v"}
    with pytest.raises(UsageError, match="nothing to train: no layer that was chosen stores"):
        fitted(model, source, train_layers="y")


def test_names_and_order() -> None:
    assert choose_parameters(convnet()) == ("w1", "s", "b", "w2", "b2", "w3", "b3")
    assert left_alone(convnet()) == frozenset()
    assert left_alone(convnet(), ["n"]) == EVERYTHING - {"s", "b", "m", "v"}
    with pytest.raises(UnknownNameError, match="no layer called 'yy'; did you mean 'y'"):
        choose_parameters(convnet(), ["yy"])


def test_what_functions_store_is_left_and_said() -> None:
    values = ", ".join(map(str, np.arange(16.0)))
    model = graph(
        f"""<ir_version: 10, opset_import: ["": 21, "local": 1]>
        g (float[N,4] x) => (float[N,4] y) {{ h = local.dense(x) y = MatMul(h, v) }}
        <domain: "local", opset_import: ["": 21]> dense (a) => (c) {{
            w = Constant<value = float[4,4] {{{values}}}>()
            c = MatMul(a, w)
        }}""",
        v=normal(4, 4),
    )
    assert inside_functions(model) == ("w",)
    assert choose_parameters(model) == ("v",)
    source = {"x": normal(8, 4), "labels": normal(8, 4, seed=2)}
    assert changed(model, fitted(model, source).model) == {"v"}
    with pytest.raises(UsageError, match="stored inside functions of the model"):
        choose_parameters(model, exclude=["y"])


def test_a_stored_tensor_outside_layers_is_trained_only_if_named() -> None:
    model = graph(
        "g (float[N,4] x) => (float[N,4] y) { a = MatMul(x, w) y = Mul(a, scales) }",
        w=normal(4, 4),
        scales=normal(1, 4),
    )
    wide = graph(
        "g (float[N,32] x) => (float[N,32] y) { a = MatMul(x, w) y = Mul(a, scales) }",
        w=normal(32, 32),
        scales=normal(1, 1, 32),
    )
    assert outside_layers(model) == ()
    assert outside_layers(wide) == ("scales",)
    assert choose_parameters(wide) == ("w",)
    assert choose_parameters(wide, tensors=["sc*"]) == ("w", "scales")
    with pytest.raises(UnknownNameError, match="no stored tensor outside layers called 'w'"):
        choose_parameters(wide, tensors=["w"])


def test_a_named_tensor_outside_layers_is_trained() -> None:
    wide = graph(
        "g (float[N,32] x) => (float[N,32] y) { a = MatMul(x, w) y = Mul(a, scales) }",
        w=normal(32, 32),
        scales=normal(1, 32),
    )
    source = {"x": normal(8, 32), "labels": normal(8, 32, seed=2)}
    result = fitted(wide, source, train_tensors="scales", train_layers="a")
    assert changed(wide, result.model) == {"w"}  # of those in layers
    assert (array_of(result.model, "scales") != array_of(wide, "scales")).all()
    assert set(result.trained) == {"w", "scales"}
