from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxpress.autodiff import gradient
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model

X = np.array([[-1.6, -0.4, 0.3], [0.7, 1.2, 2.6]], np.float32)


def around(op: str) -> Model:
    """Return ``y = x * op(3 x)``."""
    nodes = [
        helper.make_node("Constant", [], ["three"], value_float=3.0),
        helper.make_node("Mul", ["x", "three"], ["wide"]),
        helper.make_node(op, ["wide"], ["flat"]),
        helper.make_node("Mul", ["x", "flat"], ["y"]),
    ]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, (2, 3)) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:])
    opsets = [helper.make_opsetid("", 21)]
    return Model.from_proto(helper.make_model(graph, opset_imports=opsets, ir_version=10))


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "Sign": np.sign,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.round,
}


def slope(op: str, *through: str) -> Array:
    return gradient(around(op), "y", "x", through=through).run({"x": X})["grad.x"]


@pytest.mark.parametrize("op", FUNCTIONS)
def test_a_step_has_no_slope(op: str) -> None:
    np.testing.assert_allclose(slope(op), FUNCTIONS[op](3 * X))


@pytest.mark.parametrize("op", FUNCTIONS)
def test_a_step_passed_through_is_the_identity(op: str) -> None:
    np.testing.assert_allclose(slope(op, op), FUNCTIONS[op](3 * X) + 3 * X, rtol=1e-6)


def test_only_the_operators_named_are_passed_through() -> None:
    np.testing.assert_array_equal(slope("Round", "Sign", "Floor"), slope("Round"))
    np.testing.assert_array_equal(slope("Round", "Sign", "Round"), slope("Round", "Round"))


def test_the_slope_of_a_step_alone_is_zero() -> None:
    model = around("Round")
    assert not gradient(model, "flat", "x").run({"x": X})["grad.x"].any()
    passed = gradient(model, "flat", "x", through=["Round"]).run({"x": X})["grad.x"]
    np.testing.assert_array_equal(passed, np.full_like(X, 3))
