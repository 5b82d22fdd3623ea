"""Small graphs in ONNX text, with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import numpy_helper, parser

from onnxpress.channels import Channels, find_channels
from onnxpress.data.batch import Feeds
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.core.channels.zeroing import difference, without, zeroed_and_cut


def net(text: str, opset: int = 21, **shapes: Sequence[int] | np.ndarray) -> Model:
    """Parse a graph; each stored tensor is given by its shape, or as it is."""
    domains = f'"": {opset}, "com.acme": 1, "com.microsoft": 1'
    proto = parser.parse_model(f"<ir_version: 10, opset_import: [{domains}]> g {text}")
    rng = np.random.default_rng(0)
    for name, shape in shapes.items():
        array = shape if isinstance(shape, np.ndarray) else rng.standard_normal(tuple(shape))
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    return Model.from_proto(proto)


def sizes(channels: Channels) -> dict[str, int]:
    """Return how many channels each group has, by the tensors of its stored members."""
    return {
        " ".join(sorted(f"{m.tensor}.{m.axis}" for m in group.members)): group.size
        for group in channels.groups
    }


def found(model: Model, **options: Any) -> dict[str, int]:
    """Return the groups of a model as `sizes` does."""
    return sizes(find_channels(model, **options))


def check_law(model: Model, feeds: Feeds, *, tolerance: float = 1e-5, **options: Any) -> None:
    """Check that zeros leave no trace when they are cut."""
    for share, seed in [(0.3, 0), (0.5, 1), (0.8, 2)]:
        whole, cut, channels, removed = zeroed_and_cut(model, share, seed=seed, **options)
        cut.check()
        wanted = without(Session(whole).run(feeds), channels, removed)
        for name, array in Session(cut).run(feeds).items():
            assert difference(array, wanted[name]) <= tolerance, name


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)
