from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from onnxpress.graph.edit import Editor
from onnxpress.graph.model import Model
from tests.graphs import graph, normal, proto
from tests.work import calls

X = normal(2, 4)


@pytest.fixture
def model() -> Model:
    return graph("g (float[2,4] x) => (float[2,4] y) { y = MatMul(x, w) }", w=np.eye(4))


def test_the_model_stays_as_it_was(model: Model) -> None:
    edit = model.edit()
    edit.set_weight(edit.layers[0].weight, np.zeros((4, 4), np.float32))
    changed = edit.done()
    np.testing.assert_array_equal(model.run({"x": X})["y"], X)
    np.testing.assert_array_equal(changed.run({"x": X})["y"], np.zeros_like(X))


def test_a_weight_of_the_original_model_means_that_of_the_copy(model: Model) -> None:
    edit = model.edit()
    edit.set_weight(model.layers[0].weight, 2 * np.eye(4, dtype=np.float32))
    np.testing.assert_array_equal(edit.done().run({"x": X})["y"], 2 * X)
    np.testing.assert_array_equal(model.run({"x": X})["y"], X)


def test_weights_of_branches_with_one_name_are_told_apart() -> None:
    branch = "{}() => (float[2,4] {}) <float[4,4] w = {{{}}}> {{ {} = MatMul(x, w) }}"
    eye = ",".join(map(str, np.eye(4).ravel()))
    model = graph(
        "g (float[2,4] x, bool c) => (float[2,4] y) { y = If(c) <"
        f"then_branch = {branch.format('t', 'a', eye, 'a')},"
        f"else_branch = {branch.format('e', 'b', eye, 'b')}> }}"
    )
    edit = model.edit()
    edit.set_weight(model.layers[1].weight, np.zeros((4, 4), np.float32))
    changed = edit.done()
    sums = [changed.run({"x": X, "c": np.array(c)})["y"].any() for c in (True, False)]
    assert sorted(sums) == [False, True]
    assert model.run({"x": X, "c": np.asarray(np.array(0) > 1)})["y"].any()


def test_other_weights_are_shared_not_copied(model: Model) -> None:
    before = model.layers[0].weight.tensor
    assert model.edit().done().layers[0].weight.tensor is before


def test_the_bytes_of_a_constant_node_are_replaced() -> None:
    made = proto("g (float[2,4] x) => (float[2,N] y) { w = Constant() y = MatMul(x, w) }")
    value = helper.make_attribute("value", numpy_helper.from_array(normal(4, 4)))
    made.graph.node[0].attribute.append(value)
    model = Model.from_proto(made)
    edit = model.edit()
    edit.set_weight(model.layers[0].weight, np.ones((4, 3), np.float32))
    changed = edit.done()
    changed.check()
    np.testing.assert_allclose(changed.run({"x": X})["y"], X @ np.ones((4, 3)), rtol=1e-6)
    assert model.run({"x": X})["y"].shape == (2, 4)


def test_new_names_do_not_clash(model: Model) -> None:
    edit = model.edit()
    names = [edit.constant(np.zeros(1), "w").name for _ in range(3)]
    assert names == ["w_1", "w_2", "w_3"]
    assert edit.node("Relu", [edit.graph.inputs[0]], "w_2").outputs[0].name == "w_2_1"


def test_a_node_put_in_place(model: Model) -> None:
    edit = model.edit()
    last = edit.graph.node(-1)
    scaled = edit.node(
        "Mul", [edit.graph.inputs[0], edit.constant(np.array([2], np.float32), "two")], "s"
    )
    last.prepend(scaled)
    last.replace_input_with(0, scaled.outputs[0])
    changed = edit.done()
    changed.check()
    np.testing.assert_array_equal(changed.run({"x": X})["y"], 2 * X)


def test_what_nobody_reads_is_dropped(model: Model) -> None:
    edit = model.edit()
    edit.constant(np.zeros(1000), "unused")
    edit.graph.node(0).prepend(edit.node("Exp", [edit.graph.inputs[0]], "unread"))
    changed = edit.done()
    assert [node.op_type for node in changed.ir.graph] == ["MatMul"]
    assert list(changed.ir.graph.initializers) == ["w"]


def test_tensors_that_numpy_does_not_know(model: Model, tmp_path: Path) -> None:
    edit = model.edit()
    packed = helper.make_tensor("q", onnx.TensorProto.INT4, [3], [-8, 0, 7])
    edit.graph.outputs.append(edit.constant(ir.serde.deserialize_tensor(packed), "q"))
    edit.done().save(tmp_path / "a.onnx")
    stored = onnx.load(tmp_path / "a.onnx").graph.initializer
    assert [t.data_type for t in stored if t.name == "q"] == [onnx.TensorProto.INT4]


def test_the_work_grows_with_the_number_of_nodes_not_with_its_square() -> None:
    def edit(length: int) -> int:
        nodes = [helper.make_node("MatMul", [f"t{i}", "w"], [f"t{i + 1}"]) for i in range(length)]
        made = proto("g (float[4] t0) => (float[4] y) { y = Identity(t0) }", w=np.eye(4))
        made.graph.node.extend(nodes)
        made.graph.node[0].input[0] = f"t{length}"
        model = Model.from_proto(made)
        return calls(lambda: _change_every_layer(model.edit()))

    edit(10)
    assert edit(800) < 10 * edit(100)  # 8 is linear, 64 quadratic


def _change_every_layer(editor: Editor) -> None:
    for layer in editor.layers:
        editor.set_weight(layer.weight, np.zeros((4, 4), np.float32))
        editor.constant(np.zeros(1), "c")
    editor.done()
