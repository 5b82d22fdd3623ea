"""Channels cut out, and the weights that stay solved for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.errors import UsageError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from tests.graphs import normal
from tests.plugins.pruning.removal.nets import attention, cut, images, residual


def _error(model: Model, smaller: Model, shape: tuple[int, ...]) -> float:
    """Return how far outputs are from those of the original, on inputs that nobody has seen."""
    feeds = {model.inputs[0].name or "": normal(64, *shape, seed=9)}
    wanted, got = (next(iter(m.run(feeds).values())) for m in (model, smaller))
    return float(np.square(got - wanted).mean() / np.square(wanted).mean())


@pytest.mark.parametrize("structure", ["channel", "head"])
def test_layers_give_again_what_they_gave(structure: str) -> None:
    model = residual(2) if structure == "channel" else attention()
    shape = (3, 8, 8) if structure == "channel" else (5, 16)
    options: dict[str, Any] = {
        "structure": structure,
        "ratio": 0.5,
        "round_to": 1,
        "recalibrate": "none",
    }
    plain = cut(model, **options)
    made = cut(model, job=Job(images(model, 256)), reconstruct=True, **options)
    assert made.cost().macs == plain.cost().macs
    assert _error(model, made, shape) < 0.7 * _error(model, plain, shape)


def test_it_needs_data() -> None:
    with pytest.raises(UsageError, match="needs data"):
        cut(residual(1), ratio=0.5, reconstruct=True)
