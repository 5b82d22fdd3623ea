"""Layers that give again what they gave: after masks, and after channels were cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.calibration.kept import kept_positions
from onnxpress.channels import find_channels
from onnxpress.data.batch import Array
from onnxpress.data.opening import open_data
from onnxpress.errors import UsageError
from onnxpress.graph.model import Model
from onnxpress.graph.pruned import masks_of
from onnxpress.job import Job
from onnxpress.testing.models import model_from_text, small_classifier
from onnxpress_pruning import MagnitudePruning, SaliencyPruning
from onnxpress_pruning.reconstruction import moments
from onnxpress_pruning.reconstruction.product import Product, find_product
from onnxpress_pruning.reconstruction.rebuild import reconstruct

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((64, 3, 16, 16)).astype(np.float32)
SAMPLES = RNG.standard_normal((500, 6)).astype(np.float32)
NET = """
g (float[N, 6] x) => (float[N, 3] y) {
    a = Gemm <transB = 1> (x, w1, b1)
    b = Relu (a)
    c = MatMul (b, w2)
    d = Add (c, b2)
    e = Relu (d)
    y = Gemm (e, w3, b3)
}"""


def _net(width: int = 8) -> Model:
    shapes = {
        "w1": (width, 6), "b1": (width,), "w2": (width, width), "b2": (width,),
        "w3": (width, 3), "b3": (3,),
    }  # fmt: skip
    rng = np.random.default_rng(1)
    return model_from_text(
        NET, **{n: rng.standard_normal(s).astype("f4") for n, s in shapes.items()}
    )


def _job(model: Model, arrays: Array) -> Job:
    return Job(data=open_data({"input": arrays, "batch": 50}, model))


def _off(pruned: Model, original: Model, inputs: Array) -> float:
    """Return the squared difference of outputs, as a share of their variance."""
    name = original.inputs[0].name or ""
    (found,), (wanted,) = (m.run({name: inputs}).values() for m in (pruned, original))
    return float(((found - wanted) ** 2).sum() / ((wanted - wanted.mean(0)) ** 2).sum())


@pytest.mark.parametrize(("make", "inputs"), [(_net, SAMPLES), (small_classifier, IMAGES)])
@pytest.mark.parametrize(
    "options",
    [
        {"sparsity": 0.5},
        {"sparsity": 0.5, "scope": "global"},
        {"structure": "n:m"},
        {"structure": "block", "block": "1x2", "sparsity": 0.4},
    ],
)
def test_any_mask_loses_less_with_reconstruction(
    make: Any, inputs: Array, options: dict[str, Any]
) -> None:
    model = make()
    plain = MagnitudePruning(**options).apply(model, Job())
    rebuilt = MagnitudePruning(reconstruct=True, **options).apply(model, _job(model, inputs))
    assert _off(rebuilt, model, inputs) < 0.7 * _off(plain, model, inputs)
    for name, mask in masks_of(plain).items():
        np.testing.assert_array_equal(masks_of(rebuilt)[name], mask)


@pytest.mark.parametrize(("make", "inputs"), [(_net, SAMPLES), (small_classifier, IMAGES)])
@pytest.mark.parametrize(
    "options",
    [
        {"sparsity": 0.5},
        {"sparsity": 0.6, "scope": "global"},
        {"structure": "n:m", "pattern": "1:2"},
        {"structure": "n:m", "axis": "output"},
        {"structure": "block", "block": "1x2", "sparsity": 0.4},
    ],
)
def test_obs_loses_less_than_magnitude(make: Any, inputs: Array, options: dict[str, Any]) -> None:
    model = make()
    plain = MagnitudePruning(**options).apply(model, Job())
    job = _job(model, inputs)
    found = SaliencyPruning(criterion="obs", **options).apply(model, job)
    assert _off(found, model, inputs) < 0.6 * _off(plain, model, inputs)
    if options.get("scope") != "global" and options.get("structure") != "block":
        zeros = {n: int((~m).sum()) for n, m in masks_of(plain).items()}
        assert {n: int((~m).sum()) for n, m in masks_of(found).items()} == zeros
    assert all(change.details["output_error"] < 1 for change in job.changed)


def test_the_model_given_and_its_zeros_stay_as_they_are() -> None:
    model = _net()
    before = {name: value.const_value.numpy().copy() for name, value in _stored(model)}
    once = SaliencyPruning(criterion="obs", sparsity=0.3).apply(model, _job(model, SAMPLES))
    twice = SaliencyPruning(criterion="obs", sparsity=0.6).apply(once, _job(once, SAMPLES))
    for name, value in _stored(model):
        np.testing.assert_array_equal(value.const_value.numpy(), before[name])
    for name, mask in masks_of(once).items():
        assert not masks_of(twice)[name][~mask].any()
        assert (~masks_of(twice)[name]).sum() == round(0.6 * mask.size)


def _stored(model: Model) -> list[tuple[str, Any]]:
    return list(model.ir.graph.initializers.items())


def test_the_same_data_give_the_same_bytes() -> None:
    model = _net()
    step = SaliencyPruning(criterion="obs", sparsity=0.5)
    one, two = (step.apply(model, _job(model, SAMPLES)) for _ in range(2))
    for (_, first), (_, second) in zip(_stored(one), _stored(two), strict=True):
        assert first.const_value.tobytes() == second.const_value.tobytes()


def test_mean_outputs_of_a_layer_with_a_bias_are_those_of_before() -> None:
    model = _net()
    pruned = SaliencyPruning(criterion="obs", sparsity=0.7).apply(model, _job(model, SAMPLES))
    found, wanted = (m.run({"x": SAMPLES})["y"].mean(0) for m in (pruned, model))
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_channels_that_were_copies_are_made_up_for() -> None:
    """Every hidden unit twice: without one of each pair, the next layer can give the same."""
    model = _net(8)
    arrays = {name: value.const_value.numpy() for name, value in _stored(model)}
    twins = {"w1": np.tile(arrays["w1"], (2, 1)), "b1": np.tile(arrays["b1"], 2)}
    wide = model_from_text(
        NET, **{**arrays, **twins, "w2": np.concatenate([arrays["w2"] * 0.4, arrays["w2"] * 0.6])}
    )
    channels = find_channels(wide)
    group = next(g for g in channels.groups if any(m.tensor == "w1" for m in g.members))
    removed = {group.name: np.arange(8, 16)}
    cut = channels.cut(removed)
    kept = kept_positions(channels.groups, removed)
    found = reconstruct(cut, wide, ["w2"], _job(wide, SAMPLES), kept)
    assert _off(cut, wide, SAMPLES) > 0.1
    assert _off(found, wide, SAMPLES) < 1e-3


def test_consumers_make_up_for_channels_of_a_convolution() -> None:
    model = small_classifier()
    channels = find_channels(model)
    group = max(channels.groups, key=lambda g: g.size)
    removed = {group.name: [1, group.size - 1]}
    cut = channels.cut(removed)
    kept = kept_positions(channels.groups, removed)
    names = sorted({w.name for layer in cut.layers for w in layer.weights if w.role == "weight"})
    found = reconstruct(cut, model, names, _job(model, IMAGES), kept)
    assert _off(found, model, IMAGES) < 0.7 * _off(cut, model, IMAGES)


def test_a_shared_weight_is_declined_with_its_reason() -> None:
    w = RNG.standard_normal((6, 6)).astype(np.float32)
    model = model_from_text(
        "g (float[N, 6] x) => (float[N, 6] y)"
        "{ a = MatMul (x, w)  b = Relu (a)  y = MatMul (b, w) }",
        w=w,
    )
    job = _job(model, SAMPLES)
    assert SaliencyPruning(criterion="obs").apply(model, job) is model
    assert any("several layers share w" in declined.reason for declined in job.declined)


def test_wide_layers_are_treated_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "WIDEST", 20)
    model = small_classifier()
    plain = MagnitudePruning(sparsity=0.5).apply(model, Job())
    found = SaliencyPruning(criterion="obs", sparsity=0.5).apply(model, _job(model, IMAGES))
    assert [len(moments.spans(p, p)) for p in _products(model)] == [2, 1, 1, 1]
    assert {n: m.sum() for n, m in masks_of(found).items()} == {
        n: m.sum() for n, m in masks_of(plain).items()
    }
    assert _off(found, model, IMAGES) < 0.7 * _off(plain, model, IMAGES)


def _products(model: Model) -> list[Product]:
    found = [find_product(layer, model.ir.graph) for layer in model.layers]
    return [product for product in found if isinstance(product, Product)]


def test_obs_needs_data() -> None:
    model = _net()
    for step in (SaliencyPruning(criterion="obs"), MagnitudePruning(reconstruct=True)):
        with pytest.raises(UsageError, match="needs data"):
            step.apply(model, Job())
