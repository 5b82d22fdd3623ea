"""Laws that every registered transform keeps on every kind of graph."""

from __future__ import annotations

import pytest

from onnxpress import Plugins
from onnxpress.data import open_data
from onnxpress.data.random import random_feeds
from onnxpress.testing import check_transform
from tests.laws.graphs import GRAPHS

PLUGINS = Plugins.discover(strict=True)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", PLUGINS.transforms)
def test_a_transform_with_its_defaults_keeps_the_laws(name: str, graph: str) -> None:
    model = GRAPHS[graph]()
    data = open_data([random_feeds(model, batch=2, seed=s) for s in range(2)], model)
    check_transform(PLUGINS.transforms[name](), model, data)
