"""Gradients of real models with LSTM, GRU and If, against differences in a random direction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import onnxpress
from onnxpress.autodiff import gradient, gradient_name
from onnxpress.data.batch import Array, Feeds
from onnxpress.graph.constants import stored_values
from onnxpress.graph.model import Model

RNG = np.random.default_rng(0)


def small(*shape: int) -> Array:
    return (RNG.standard_normal(shape) / 10).astype(np.float32)


SPEECH = {"input": small(1, 576), "state": small(2, 1, 128)}
SLOW = {"input": small(1, 288), "state": small(2, 1, 128)}
FRAME = {
    "mix": small(1, 257, 1, 2),
    "conv_cache": small(2, 1, 16, 16, 33),
    "tra_cache": small(2, 3, 1, 1, 16),
    "inter_cache": small(2, 1, 33, 16),
}
# The last is the step: small where a kink is near (Relu, PRelu), large where sums are large.
TRIED = [
    ("nnsplit/model.onnx", {"input": RNG.integers(0, 127, (2, 20), np.uint8)}, "output", 1e-3),
    ("silero_vad/silero_vad.onnx", {**SPEECH, "sr": np.array(16000)}, "output", 1e-3),
    ("silero_vad/silero_vad.onnx", {**SLOW, "sr": np.array(8000)}, "stateN", 1e-3),
    ("silero_vad/silero_vad_half.onnx", SPEECH, "output", 3e-4),
    ("gtcrn/gtcrn.onnx", FRAME, "enh", 2e-5),
    ("gtcrn/gtcrn_simple.onnx", FRAME, "enh", 2e-5),
]


@pytest.mark.slow
@pytest.mark.parametrize(("path", "feeds", "of", "step"), TRIED)
def test_a_real_model(path: str, feeds: Feeds, of: str, step: float, shared: Path) -> None:
    model = onnxpress.load(shared / "models" / path)
    weights = {
        value.name or "": tensor.numpy()
        for value, tensor in stored_values(model.ir)
        if tensor.dtype.is_floating_point() and tensor.size > 3  # no factors, and the like
    }
    found = gradient(model, of, list(weights)).run(feeds)
    rng = np.random.default_rng(1)
    ways = {n: (rng.standard_normal(a.shape) * a).astype(a.dtype) for n, a in weights.items()}
    slopes = [
        (found[gradient_name(name)].astype(np.float64) * way).sum() for name, way in ways.items()
    ]
    wanted = difference(model, feeds, of, ways, step)
    assert np.count_nonzero(slopes) >= 8
    assert abs(sum(slopes) - wanted) <= 1e-2 * abs(wanted)


def difference(
    model: Model, feeds: Feeds, of: str, ways: Mapping[str, Array], step: float
) -> float:
    """Return how fast the sum of an output changes along `ways`."""
    up, down = (
        float(moved(model, ways, h).run(feeds)[of].astype(np.float64).sum()) for h in (step, -step)
    )
    return (up - down) / (2 * step)


def moved(model: Model, ways: Mapping[str, Array], step: float) -> Model:
    """Return a model whose stored tensors are moved, those of bodies as well."""
    edit = model.edit()
    for value, tensor in list(stored_values(edit.ir)):
        if value.name is None or value.name not in ways:
            continue
        array = tensor.numpy() + np.float32(step) * ways[value.name]
        node = value.producer()
        if node is None:
            value.const_value = ir.Tensor(array, name=value.name)
        else:
            node.attributes.clear()
            node.attributes.add(ir.AttrTensor("value", ir.Tensor(array)))
    return edit.done()
