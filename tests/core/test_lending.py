from __future__ import annotations

import os
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxpress.graph.model import Model
from onnxpress.lending import lend
from onnxpress.session import Session
from tests.graphs import normal, proto


def large() -> onnx.ModelProto:
    return proto(
        """g (float[1,64,8,8] x, bool c) => (float[1,64,8,8] y) {
            k = Conv<pads=[1,1,1,1]>(x, w)
            n = BatchNormalization(k, s, s, s, s)
            t = Transpose<perm=[1,0,2,3]>(w)
            r = Conv<pads=[1,1,1,1]>(n, t)
            y = If(c) <then_branch = a () => (float[1,64,8,8] p) { p = Conv<pads=[1,1,1,1]>(r, w) },
                       else_branch = b () => (float[1,64,8,8] q) { q = Abs(r) }> }""",
        w=normal(64, 64, 3, 3),
        s=np.abs(normal(64)),
    )


def test_large_weights_give_the_same_results(tmp_path: Path) -> None:
    """Fused, folded and read from a branch, they are what they would be in one file."""
    feeds = {"x": normal(1, 64, 8, 8), "c": np.asarray(np.array(1) > 0)}
    onnx.save(large(), tmp_path / "a.onnx")
    session = ort.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    expected = session.run(None, feeds)[0]
    onnx.save(large(), tmp_path / "b.onnx", save_as_external_data=True, location="d")
    for model in (Model.load(tmp_path / "a.onnx"), Model.load(tmp_path / "b.onnx")):
        np.testing.assert_array_equal(Session(model).run(feeds)["y"], expected)
        tensor = model.ir.graph.initializers["w"].const_value
        assert tensor is not None
        np.testing.assert_array_equal(tensor.numpy(), normal(64, 64, 3, 3))


def test_large_weights_of_types_that_numpy_does_not_know() -> None:
    values = np.arange(1 << 17).reshape(-1, 2) % 7
    made = proto("g (int64[2] i) => (float[2,2] y) { r = Gather(w, i) y = Cast<to=1>(r) }")
    made.graph.initializer.append(numpy_helper.from_array(values.astype(ml_dtypes.bfloat16), "w"))
    found = Model.from_proto(made).run({"i": np.array([3, 65000])})
    np.testing.assert_array_equal(found["y"], values[[3, 65000]])


def test_a_large_weight_that_is_an_output_too() -> None:
    made = proto("g (float[1] x) => (float[1] y, float[70000] w) { y = Abs(x) }", w=normal(70_000))
    found = Model.from_proto(made).run({"x": normal(1)})
    np.testing.assert_array_equal(found["w"], normal(70_000))


def test_a_large_weight_that_is_no_plain_array() -> None:
    model = Model.from_proto(proto("g (float[N,300] x) => (float[N,300] y) { y = MatMul(x, w) }",
                                   w=normal(300, 300)))  # fmt: skip
    edit = model.edit()
    edit.set_weight(edit.layers[0].weight, normal(300, 300).T)
    x = normal(2, 300)
    expected = x @ normal(300, 300).T
    np.testing.assert_allclose(edit.done().run({"x": x})["y"], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_model_of_more_than_two_gigabytes_runs(tmp_path: Path) -> None:
    rows, width = 150_000, 4096
    tensor = TensorProto(name="w", dims=[rows, width], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights")
    with open(tmp_path / "weights", "wb") as file:
        file.truncate(rows * width * 4 - width * 4)
        file.seek(0, os.SEEK_END)
        file.write(normal(width).tobytes())
    made = proto("g (int64[N] i) => (float[N,4096] y) { y = Gather(w, i) }")
    made.graph.initializer.append(tensor)
    (tmp_path / "a.onnx").write_bytes(made.SerializeToString())
    found = Model.load(tmp_path / "a.onnx").run({"i": np.array([0, rows - 1])})["y"]
    assert not found[0].any()
    np.testing.assert_array_equal(found[1], normal(width))


def test_only_large_weights_are_taken_out(tmp_path: Path) -> None:
    model = Model.from_proto(large())
    loan = lend(model.ir)
    assert list(loan.arrays) == ["w"]
    assert loan.folder is None
    assert loan.proto.ByteSize() < 2000
    onnx.save(
        large(), tmp_path / "a.onnx", save_as_external_data=True, location="d", size_threshold=0
    )
    loan = lend(Model.load(tmp_path / "a.onnx").ir)
    assert (loan.arrays, loan.folder) == ({}, str(tmp_path))
    stored = {t.name: t.data_location for t in loan.proto.graph.initializer}
    assert stored == {"w": TensorProto.EXTERNAL, "s": TensorProto.DEFAULT}


def test_data_files_in_several_folders(tmp_path: Path) -> None:
    made = proto("g (float[20000] x) => (float[20000] y) { a = Add(x, u) y = Add(a, v) }")
    for name, folder in (("u", "one"), ("v", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "data").write_bytes(normal(20_000).tobytes())
        tensor = TensorProto(name=name, dims=[20_000], data_type=TensorProto.FLOAT)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=f"{folder}/data")
        made.graph.initializer.append(tensor)
    (tmp_path / "a.onnx").write_bytes(made.SerializeToString())
    x = normal(20_000, seed=1)
    found = Model.load(tmp_path / "a.onnx").run({"x": x})["y"]
    np.testing.assert_allclose(found, x + 2 * normal(20_000), rtol=1e-5, atol=1e-5)


def test_a_large_external_weight_of_a_branch(tmp_path: Path) -> None:
    then = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["p"])],
        "then",
        [],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [20_000])],
        [numpy_helper.from_array(normal(20_000), "w")],
    )
    made = proto(
        """g (float[20000] x, bool c) => (float[20000] y) {
            y = If(c) <else_branch = e () => (float[20000] q) { q = Abs(x) }> }"""
    )
    made.graph.node[0].attribute.append(helper.make_attribute("then_branch", then))
    onnx.save(made, tmp_path / "a.onnx", save_as_external_data=True, location="d")
    x = normal(20_000, seed=1)
    feeds = {"x": x, "c": np.asarray(np.array(1) > 0)}
    found = Model.load(tmp_path / "a.onnx").run(feeds)["y"]
    np.testing.assert_allclose(found, x + normal(20_000), rtol=1e-5, atol=1e-5)
