"""Tensors in the order of layers, computed from where the last one was."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.data.batch import Array
from onnxpress.data.opening import open_data
from onnxpress.errors import DataError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.session import Session
from onnxpress.testing.models import model_from_text, small_classifier
from onnxpress_pruning.reconstruction import flow as flow_module
from onnxpress_pruning.reconstruction.flow import BUDGET, Flow
from tests.core.calibration.data import Arrays

IMAGES = np.random.default_rng(0).standard_normal((10, 3, 16, 16)).astype(np.float32)

BRANCHES = """
g (float[N, 4] x, bool[N] flag) => (float[N, 3] y) {
    a = MatMul (x, w1)
    b = Relu (a)
    t = Transpose (w2)
    c = MatMul (b, t)
    flag_int = Cast <to = 6> (flag)
    s = ReduceMax <keepdims = 0> (flag_int)
    k = Cast <to = 9> (s)
    d = If (k) <
        then_branch = then () => (float[N, 4] p) { p = Add (b, c) },
        else_branch = other () => (float[N, 4] q) { q = Sub (b, c) }
    >
    e = Add (d, x)
    y = MatMul (e, w3)
}"""


def _flow(model: Model, data: object, budget: int = BUDGET) -> Flow:
    return Flow(open_data(data, model), Job(), budget)


def _sources(model: Model) -> list[str]:
    """Return what each layer reads."""
    return [(layer.node.inputs[0] or layer.node.outputs[0]).name or "" for layer in model.layers]


@pytest.mark.parametrize("budget", [BUDGET, 0, 20_000])
def test_each_layer_gets_what_it_is_fed(budget: int) -> None:
    model = small_classifier()
    flow = _flow(model, {"input": IMAGES, "batch": 4}, budget)
    sources = _sources(model)
    wanted = Session(model, outputs=sources, optimize=False).run({"image": IMAGES})
    for source in (*sources, sources[-1]):
        found = list(flow.arrays(model, source))
        assert [len(array) for array in found] == [4, 4, 2]
        np.testing.assert_allclose(np.concatenate(found), wanted[source], atol=1e-5)


def test_weights_that_changed_since_are_seen_by_later_layers() -> None:
    model = small_classifier()
    flow = _flow(model, {"input": IMAGES})
    list(flow.arrays(model, _sources(model)[1]))
    edit = model.edit()
    depthwise = model.layers[1].weight
    edit.set_weight(depthwise, depthwise.array() * 3)
    changed = edit.done()
    name = _sources(model)[-1]
    (found,) = flow.arrays(changed, name)
    wanted = Session(changed, outputs=[name]).run({"image": IMAGES})[name]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    before = Session(model, outputs=[name]).run({"image": IMAGES})[name]
    assert np.abs(before - wanted).max() > 0.01


def test_what_was_computed_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The part of the graph that runs for the last layer has no convolution."""
    seen: list[list[str]] = []
    cut_out = flow_module._cut_out

    def spy(*args: object) -> Model:
        part = cut_out(*args)  # type: ignore[arg-type]
        seen.append([node.op_type for node in part.ir.graph])
        return part

    monkeypatch.setattr(flow_module, "_cut_out", spy)
    model = small_classifier()
    flow = _flow(model, {"input": IMAGES})
    for source in _sources(model):
        list(flow.arrays(model, source))
    ran = [op for part in seen for op in part]
    assert ran.count("Conv") == len(model.layers) - 1
    assert "Conv" in seen[-1]
    assert seen[-1].count("Conv") == 1


def test_bodies_and_second_inputs_go_along() -> None:
    rng = np.random.default_rng(0)
    weights: dict[str, Array] = {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in {"w1": (4, 4), "w2": (4, 4), "w3": (4, 3)}.items()
    }
    model = model_from_text(BRANCHES, **weights)
    feeds = {
        "x": rng.standard_normal((6, 4)).astype(np.float32),
        "flag": np.array([True, False] * 3),
    }
    flow = _flow(model, {**feeds, "batch": 3})
    for name in ("x", "b", "e"):
        found = np.concatenate(list(flow.arrays(model, name)))
        wanted = feeds["x"] if name == "x" else Session(model, outputs=[name]).run(feeds)[name]
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_infinite_values_are_named() -> None:
    model = small_classifier()
    images = IMAGES.copy()
    images[5] = np.inf
    flow = Flow(Arrays([images[:5], images[5:]], "image"), Job())
    with pytest.raises(DataError, match="'b' holds NaN or infinite values in batch 2"):
        list(flow.arrays(model, "b"))


def test_no_batches_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to calibrate on: arrays holds no samples"):
        list(Flow(Arrays([], "image"), Job()).arrays(small_classifier(), "b"))
