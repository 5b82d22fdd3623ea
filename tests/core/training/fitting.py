"""Calling `fit` as the steps do, with less to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from onnxpress import Plugins
from onnxpress.data import open_data
from onnxpress.data.batch import Array
from onnxpress.events import Event
from onnxpress.graph.constants import constant_tensor
from onnxpress.graph.model import Model
from onnxpress.training.constraints import Constraint
from onnxpress.training.fit import Fitted, fit
from onnxpress.training.goals import open_objectives
from onnxpress.training.masking import Masking
from onnxpress.training.options import Training

PLUGINS = Plugins.discover()

PLAIN: dict[str, Any] = {"shuffle": False, "optimizer": "sgd", "schedule": "constant", "threads": 1}
"""Options without chance, and without anything besides the gradient."""


def fitted(
    model: Model,
    source: object,
    *,
    seed: int = 0,
    constraints: Mapping[str, Constraint] | None = None,
    masking: Masking | None = None,
    notify: Callable[[Event], None] = lambda _event: None,
    **options: Any,
) -> Fitted:
    """Train a model on one thread."""
    data = open_data(source, model)
    training = Training.model_validate({"threads": 1, **options})
    objectives = open_objectives(training.objective, model, data, PLUGINS)
    return fit(
        model,
        data,
        training,
        objectives,
        seed=seed,
        constraints=constraints,
        masking=masking,
        notify=notify,
    )


def weights(model: Model) -> dict[str, Array]:
    """Return everything that the layers of a model store, by name."""
    return {w.name: np.array(w.array()) for layer in model.layers for w in layer.tensors}


def changed(before: Model, after: Model) -> set[str]:
    """Return the names of the stored tensors that are not the same, bit for bit."""
    old, new = weights(before), weights(after)
    assert old.keys() == new.keys()
    assert all(old[name].dtype == new[name].dtype for name in old)
    return {name for name in old if old[name].tobytes() != new[name].tobytes()}


def array_of(model: Model, name: str) -> Array:
    """Return a stored tensor of the main graph or of a Constant in it."""
    values = {**model.ir.graph.initializers}
    values.update({v.name or "": v for node in model.ir.graph for v in node.outputs})
    tensor = constant_tensor(values[name])
    assert tensor is not None
    return np.array(tensor.numpy())
