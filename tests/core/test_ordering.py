"""Running nodes in the order of the graph."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxpress.errors import ModelError
from onnxpress.graph.model import Model
from onnxpress.ordering import open_in_order, places, sort_nodes
from tests.graphs import graph, normal


def chain(*pairs: tuple[str, str]) -> onnx.GraphProto:
    nodes = [helper.make_node("Neg", [x], [y]) for x, y in pairs]
    return helper.make_graph(nodes, "g", [], [])


def order(found: onnx.GraphProto) -> list[str]:
    return [node.output[0] for node in found.node]


def test_nodes_go_back_to_where_their_results_stood() -> None:
    before = places(chain(("x", "a"), ("a", "b"), ("x", "c"), ("c", "d")))
    moved = chain(("x", "c"), ("c", "d"), ("x", "a"), ("a", "b"))
    sort_nodes(moved, before)
    assert order(moved) == ["a", "b", "c", "d"]


def test_a_new_node_comes_just_before_its_first_reader() -> None:
    before = places(chain(("x", "a"), ("x", "b"), ("x", "c")))
    made = chain(("x", "new"), ("x", "a"), ("x", "b"), ("new", "c"))
    sort_nodes(made, before)
    assert order(made) == ["a", "b", "new", "c"]


def test_inputs_come_first_whatever_the_wish() -> None:
    before = {"a": 5, "b": 1}
    made = chain(("x", "a"), ("a", "b"))
    sort_nodes(made, before)
    assert order(made) == ["a", "b"]


def test_what_bodies_read_comes_before_them() -> None:
    body = helper.make_graph([helper.make_node("Neg", ["late"], ["r"])], "then", [], [])
    body.output.append(helper.make_empty_tensor_value_info("r"))
    branch = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
    made = helper.make_graph([helper.make_node("Neg", ["x"], ["late"]), branch], "g", [], [])
    sort_nodes(made, {"y": 0, "late": 7})
    assert order(made) == ["late", "y"]


def test_results_are_those_of_the_model() -> None:
    model = graph(
        """g (float[N,4] x) => (float[N,4] y, float[N,4] z) {
            a = MatMul(x, w)
            b = Relu(a)
            y = Add(b, x)
            t = Transpose<perm=[1,0]>(w)
            z = MatMul(b, t)
        }""",
        w=normal(4, 4),
    )
    x = normal(3, 4, seed=1)
    session = open_in_order(model)
    found = session.run(None, {"x": x})
    for array, wanted in zip(found, model.run({"x": x}).values(), strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-6, atol=1e-6)


def test_what_onnx_runtime_refuses_is_an_error_of_ours() -> None:
    node = helper.make_node("Nothing", ["x"], ["y"], domain="nobody")
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N"]) for n in "xy"]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("nobody", 1)]
    made = helper.make_graph([node], "g", [ends[0]], [ends[1]])
    model = Model.from_proto(helper.make_model(made, opset_imports=opsets, ir_version=10))
    with pytest.raises(ModelError, match="does not load the model"):
        open_in_order(model)
