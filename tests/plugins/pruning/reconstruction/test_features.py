"""Every layer is W times what `features_of` gives, whatever its attributes are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.testing.models import model_from_text
from onnxpress_pruning.reconstruction import windows
from onnxpress_pruning.reconstruction.features import features_of
from onnxpress_pruning.reconstruction.product import Product, find_product

CASES: dict[str, tuple[str, tuple[int, ...], tuple[int, ...]]] = {
    "conv": ("Conv <pads = [1, 0, 2, 1], strides = [2, 1]> (x, w)", (5, 3, 3, 2), (2, 3, 9, 8)),
    "conv-dilated": ("Conv <dilations = [2, 2]> (x, w)", (4, 2, 3, 3), (2, 2, 8, 8)),
    "conv-same": (
        'Conv <auto_pad = "SAME_UPPER", strides = [2, 2]> (x, w)',
        (4, 2, 3, 3),
        (2, 2, 7, 7),
    ),
    "conv-lower": (
        'Conv <auto_pad = "SAME_LOWER", strides = [2, 1]> (x, w)',
        (4, 2, 2, 3),
        (2, 2, 7, 6),
    ),
    "conv-valid": (
        'Conv <auto_pad = "VALID", strides = [3, 2]> (x, w)',
        (4, 2, 2, 3),
        (2, 2, 8, 8),
    ),
    "conv-1x1": ("Conv <strides = [2, 2]> (x, w)", (4, 3, 1, 1), (2, 3, 5, 6)),
    "conv-grouped": ("Conv <group = 2> (x, w)", (6, 2, 3, 3), (2, 4, 5, 5)),
    "conv-depthwise": ("Conv <group = 4, pads = [1, 1, 1, 1]> (x, w)", (8, 1, 3, 3), (2, 4, 5, 5)),
    "conv-1d": ("Conv <pads = [2, 2]> (x, w)", (3, 2, 5), (2, 2, 9)),
    "conv-3d": ("Conv (x, w)", (3, 2, 2, 2, 3), (1, 2, 4, 4, 4)),
    "transposed": (
        "ConvTranspose <strides = [2, 2], output_padding = [1, 0], pads = [1, 1, 0, 1]> (x, w)",
        (3, 4, 3, 3),
        (2, 3, 4, 5),
    ),
    "transposed-grouped": ("ConvTranspose <group = 2, strides = [2]> (x, w)", (4, 3, 3), (2, 4, 5)),
    "gemm": ("Gemm (x, w)", (5, 3), (7, 5)),
    "gemm-turned": ("Gemm <transB = 1> (x, w)", (3, 5), (7, 5)),
    "gemm-both": ("Gemm <transA = 1, transB = 1> (x, w)", (3, 5), (5, 7)),
    "gemm-left": ("Gemm (w, x)", (3, 5), (5, 7)),
    "gemm-left-turned": ("Gemm <transA = 1, transB = 1> (w, x)", (5, 3), (7, 5)),
    "matmul": ("MatMul (x, w)", (5, 3), (2, 7, 5)),
    "matmul-vector": ("MatMul (x, w)", (5, 3), (5,)),
    "matmul-by-vector": ("MatMul (x, w)", (5,), (2, 7, 5)),
    "matmul-left": ("MatMul (w, x)", (3, 5), (2, 5, 7)),
    "matmul-stack": ("MatMul (x, w)", (4, 5, 3), (2, 4, 7, 5)),
    "matmul-stack-shared": ("MatMul (x, w)", (4, 5, 3), (7, 5)),
    "matmul-stack-left": ("MatMul (w, x)", (2, 1, 3, 5), (2, 4, 5, 7)),
}


def _one_layer(case: str) -> tuple[Model, Product, Array]:
    text, weight, shape = CASES[case]
    rng = np.random.default_rng(0)
    w = rng.standard_normal(weight).astype(np.float32)
    dims = ", ".join(map(str, shape))
    model = model_from_text(f"g (float[{dims}] x) => (float y) {{ y = {text} }}", w=w)
    product = find_product(model.layers[0], model.ir.graph)
    assert isinstance(product, Product)
    return model, product, rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_rows_times_samples(case: str) -> None:
    model, product, x = _one_layer(case)
    weights = product.matrix(product.weight.array())
    parts = [weights @ part for part in features_of(product, model.opset)(x)]
    found = np.concatenate(parts, axis=2)
    wanted = model.run({"x": x})["y"]
    assert found.size == wanted.size
    np.testing.assert_allclose(_in_order(found), _in_order(_rows(wanted, product, case)), atol=1e-4)


def _in_order(outputs: Array) -> Array:
    """Sort the samples of each group by its first row: their order is free."""
    return np.take_along_axis(outputs, np.argsort(outputs[:, :1], axis=2), axis=2)


def _rows(y: Array, product: Product, case: str) -> Array:
    """Return outputs of shape (groups, rows, samples)."""
    groups, rows, _ = product.places.shape
    if case.startswith(("conv", "transposed")):
        return y.reshape(len(y), groups, rows, -1).transpose(1, 2, 0, 3).reshape(groups, rows, -1)
    if case in {"matmul-vector", "matmul-by-vector"}:
        return y.reshape(-1, rows).T[None]
    samples_first = y.swapaxes(-1, -2) if product.left else y
    if groups > 1:
        axis = -3 if case != "matmul-stack-left" else 0
        samples_first = np.moveaxis(samples_first, axis, 0)
    return samples_first.reshape(groups, -1, rows).swapaxes(1, 2)


def test_windows_are_cut_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, product, x = _one_layer("conv")
    whole = list(features_of(product, model.opset)(x))
    monkeypatch.setattr(windows, "PART", 1)
    parts = list(features_of(product, model.opset)(x))
    assert len(whole) == 1
    assert len(parts) == len(x)
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), whole[0])


def test_a_weight_that_is_transposed_on_the_way_is_read_through() -> None:
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    model = model_from_text(
        "g (float[N, 3] x) => (float[N, 2] y) { t = Transpose (w)  y = MatMul (x, t) }", w=w
    )
    product = find_product(model.layers[0], model.ir.graph)
    assert isinstance(product, Product)
    np.testing.assert_array_equal(product.matrix(w)[0], w)
    np.testing.assert_array_equal(product.stored(product.matrix(w), w), w)


@pytest.mark.parametrize(
    ("text", "weights", "reason"),
    [
        ("y = Gather (w, x)", {"w": np.ones((4, 3), np.float32)}, "a Gather is not computed"),
    ],
)
def test_what_is_no_product_says_why(text: str, weights: dict[str, Any], reason: str) -> None:
    model = model_from_text(f"g (int64[N] x) => (float y) {{ {text} }}", **weights)
    assert reason in str(find_product(model.layers[0], model.ir.graph))
