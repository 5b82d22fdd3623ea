"""Networks with batch normalisation, and what their normalisations say."""

from __future__ import annotations

import numpy as np

from onnxpress.data.batch import Array
from onnxpress.graph.layers import Layer
from onnxpress.graph.model import Model
from tests.graphs import graph, normal

TWO_NORMS = """g (float[N,3,H,W] x) => (float[N,2] z) {
    a = Conv<pads=[1,1,1,1]>(x, w1)
    b = BatchNormalization(a, s1, b1, m1, v1)
    c = Relu(b)
    d = Conv<pads=[1,1,1,1]>(c, w2)
    e = BatchNormalization(d, s2, b2, m2, v2)
    f = Relu(e)
    p = GlobalAveragePool(f)
    q = Flatten(p)
    z = Gemm<transB=1>(q, w3, b3)
}"""


def two_norms(text: str = TWO_NORMS, **changed: Array) -> Model:
    """Return conv, norm, relu twice, and a head; statistics are far from what data gives."""
    tensors: dict[str, Array] = {
        "w1": normal(6, 3, 3, 3, seed=1),
        "w2": normal(4, 6, 3, 3, seed=2),
        "w3": normal(2, 4, seed=3),
        "b3": normal(2, seed=4),
    }
    for i, size in ((1, 6), (2, 4)):
        tensors |= {f"s{i}": np.abs(normal(size, seed=5 + i)) + 0.5, f"b{i}": normal(size, seed=7)}
        tensors |= {f"m{i}": np.zeros(size), f"v{i}": np.ones(size)}
    return graph(text, **{**tensors, **changed})


def statistics(model: Model) -> dict[str, Array]:
    """Return running means and variances by the name of the tensor."""
    norms = [layer for layer in model.layers if layer.op_type == "BatchNormalization"]
    return {w.name: w.array() for n in norms for w in n.weights if w.role in {"mean", "variance"}}


def layer(model: Model, name: str) -> Layer:
    return next(found for found in model.layers if found.name == name)
