"""Laws that every registered transform keeps on every kind of graph."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest

from onnxpress import Model, Plugins
from onnxpress.data import open_data
from onnxpress.data.batch import Data
from onnxpress.data.random import random_feeds
from onnxpress.errors import UsageError
from onnxpress.testing import check_transform
from tests.laws.graphs import GRAPHS

PLUGINS = Plugins.discover(strict=True)

REFUSED: Final = {
    "quantized_already": "there is nothing to train: no layer that was chosen stores floating",
    "overridable_weight": "there is nothing to train: all stored weights are also inputs, which "
    "callers may override; freeze=true drops that",
    "nothing_to_compress": "there is nothing to train: the model has no layers with weights",
}
"""Graphs that training refuses, and why; it takes all others."""

TRAINING: Final = frozenset({"finetune", "train"})


def labelled(model: Model) -> Data:
    """Return two batches; the labels are what the model says, moved a little."""
    rng = np.random.default_rng(0)
    batches: list[Any] = []
    for seed in range(2):
        feeds = random_feeds(model, batch=2, seed=seed)
        (wanted,) = model.run(feeds).values()
        moved = wanted + 0.1 * rng.standard_normal(wanted.shape)
        batches.append((feeds, moved.astype(np.float32)))
    return open_data(batches, model)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", PLUGINS.transforms)
def test_a_transform_with_its_defaults_keeps_the_laws(name: str, graph: str) -> None:
    model = GRAPHS[graph]()
    transform = PLUGINS.transforms[name]()
    if name in TRAINING and graph in REFUSED:
        with pytest.raises(UsageError) as refused:
            check_transform(transform, model, labelled(model))
        assert str(refused.value).startswith(REFUSED[graph])
        return
    result = check_transform(transform, model, labelled(model))
    if name in TRAINING:
        changed = [n for n, v in model.parameters.items() if differs(v, result.parameters[n])]
        assert changed, "nothing was trained"


def differs(before: Any, after: Any) -> bool:
    a, b = (stored(value) for value in (before, after))
    return not np.array_equal(a, b)


def stored(value: Any) -> Any:
    from onnxpress.graph.constants import constant_tensor

    tensor = constant_tensor(value)
    assert tensor is not None
    return tensor.numpy()
