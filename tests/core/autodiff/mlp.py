"""A small network that several tests differentiate."""

from __future__ import annotations

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from tests.graphs import graph, normal

MLP = """g (float[N,4] x) => (float[N,2] y) {
    a = MatMul(x, w1)
    b = Add(a, b1)
    h = Tanh(b)
    y = Gemm(h, w2, b2)
}"""


SUMMED = "s = ReduceSum<keepdims = 0>(y) }"


def mlp_weights() -> dict[str, Array]:
    return {
        "w1": normal(4, 3),
        "b1": normal(3, seed=1),
        "w2": normal(3, 2, seed=2),
        "b2": normal(2, seed=3),
    }


def mlp() -> Model:
    return graph(MLP, **mlp_weights())


WEIGHTS = ["w1", "b1", "w2", "b2"]


def ones_back(model: Model, of: str, wrt: str, **feeds: Array) -> Array:
    """Return the gradient of the sum of a tensor."""
    return gradient(model, of, wrt).run(feeds)[gradient_name(wrt)]
