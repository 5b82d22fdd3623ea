from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper, parser

from onnxpress.errors import ModelError, OnnxpressError, UsageError
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.graphs import normal, proto

ONE = np.ones(2, np.float32)


def text(body: str, head: str = '"": 17', ir_version: int = 8, signature: str = "") -> str:
    signature = signature or "(float[2] x) => (float[2] y)"
    return f"<ir_version: {ir_version}, opset_import: [{head}]> g {signature} {{ {body} }}"


def parsed(
    body: str, head: str = '"": 17', ir_version: int = 8, signature: str = ""
) -> onnx.ModelProto:
    return parser.parse_model(text(body, head, ir_version, signature))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(proto("g (float[2] x) => (float[2] y) { y = Add(x, w) }", w=ONE), path)
    return path


def with_data(folder: Path, name: str = "w.bin") -> Path:
    """Save a model whose weight lies in a file of its own."""
    path = folder / "model.onnx"
    model = proto("g (float[2,512] x) => (float[2,512] y) { y = Add(x, w) }", w=normal(2, 512))
    onnx.save(model, path, save_as_external_data=True, location=name)
    return path


# What is not a model at all.


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG image"),
        (b"PK\x03\x04" + bytes(50), "PyTorch checkpoint"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite"),
        (b"\x1c\x00\x00\x00ORTM", "start from the .onnx file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "download went wrong"),
        (b"This is the README of a model.\n", "no ONNX model"),
        (bytes(range(256)) * 4, "no ONNX model"),
        (b"\x08\x0a", "holds no graph"),
    ],
)
def test_other_files_are_recognised(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        Model.load(path)
    assert str(path) in str(caught.value)


def test_a_truncated_file_is_an_error_wherever_it_ends(saved: Path) -> None:
    onnx.save(parsed("y = Relu(x)"), saved)
    content = saved.read_bytes()
    for end in range(len(content)):
        saved.write_bytes(content[:end])
        with pytest.raises(ModelError):
            Model.load(saved)


def test_damage_is_an_error_or_does_no_harm(tmp_path: Path) -> None:
    made = proto(
        """g (float[N,4] x, bool c) => (float[N,3] y) {
            a = Gemm<transB=1>(x, w, b)
            y = If(c) <then_branch = t () => (float[N,3] p) { p = Relu(a) },
                       else_branch = e () => (float[N,3] q) { q = Clip(a, z) }> }""",
        w=normal(3, 4),
        b=np.zeros(3),
        z=np.float32(0),
    )
    content, path = made.SerializeToString(), tmp_path / "model.onnx"
    rng, refused = np.random.default_rng(0), 0
    for _ in range(600):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            model = Model.load(path)
            assert model.layers is not None
            assert model.types is not None
        except ModelError:
            refused += 1
    assert 300 < refused < 600


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        Model.load(tmp_path / "nothing.onnx")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        Model.load(tmp_path)


def test_an_unreadable_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)  # chmod does not stop root
    with pytest.raises(UsageError, match="Permission denied"):
        Model.load(saved)


# Models that are not valid.


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (parsed("a = Add(x, y) y = Abs(a)"), "cycle"),
        (parsed("y = Add(x, missing)"), "'missing'"),
        (parsed("z = Abs(x)"), "'y'"),
        (parsed("y = Abs(x) y = Relu(x)"), "'y' has been used as output names multiple times"),
        (parsed("x = Abs(x) y = Relu(x)"), "'x'"),
        (parsed("y = Add(x, i)", signature="(float[2] x, int64[2] i) => (float[2] y)"), "type"),
        (parsed("y = Convv(x)"), "did you mean 'Conv'"),
        (parsed("y = Gelu(x)"), "exists since opset 20, but the model imports opset 17"),
        (parsed("y = Affine<alpha=1.0, beta=1.0>(x)"), "Affine"),
        (parsed("y = Relu<alpha=1>(x)"), "alpha"),
        (parsed("y = Relu(x, x)"), "input size 2"),
        (parsed("y = acme.Relu(x)"), "No opset import for domain 'acme'"),
        (parsed("y = Relu(x)", '"": 6'), "opset 6; onnxpress reads opset 7 and newer"),
        (parsed("y = Relu(x)", '"acme": 6', ir_version=2), "which operator set"),
    ],
)
def test_an_invalid_model_says_what_is_wrong(
    model: onnx.ModelProto, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelError, match=message) as caught:
        Model.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_name_that_is_stored_twice() -> None:
    model = parsed("y = Add(x, w)")
    model.graph.initializer.extend([numpy_helper.from_array(ONE, "w")] * 2)
    with pytest.raises(ModelError, match="w initializer name is not unique"):
        Model.from_proto(model)


def test_nodes_in_another_order_are_sorted_as_onnx_runtime_does() -> None:
    model = Model.from_proto(parsed("y = Relu(a) a = Abs(x)"))
    assert [node.op_type for node in model.ir.graph] == ["Abs", "Relu"]
    model.check()


def test_a_model_that_says_no_output_shape_is_read() -> None:
    model = parsed("y = Relu(x)", signature="(float[2] x) => (float[] y)")
    assert Model.from_proto(model).run({"x": ONE})["y"].tolist() == [1, 1]


def test_a_wrong_output_shape_is_no_reason_to_refuse() -> None:
    model = parsed("y = Relu(x)", signature="(float[2] x) => (float[3] y)")
    assert Model.from_proto(model).run({"x": ONE})["y"].tolist() == [1, 1]


def test_what_onnx_runtime_writes_into_the_standard_domain_is_read() -> None:
    body = "a = LayerNormalization(x, w, w) y = SimplifiedLayerNormalization(a, w)"
    model = parsed(body, '"": 11')
    model.graph.initializer.append(numpy_helper.from_array(ONE, "w"))
    loaded = Model.from_proto(model)
    assert loaded.opset == 21
    before = Session(Model(ir.from_proto(model))).run({"x": np.array([1, 3], np.float32)})
    after = loaded.run({"x": np.array([1, 3], np.float32)})
    np.testing.assert_allclose(after["y"], before["y"], rtol=1e-6)


def test_check_of_a_model_in_memory(saved: Path) -> None:
    model = Model.load(saved)
    model.check()
    model.ir.graph.node(0).op_type = "Ad"
    with pytest.raises(ModelError, match="did you mean 'And' or 'Add'"):
        model.check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.dims.append(2), r"tensor 'w' of type FLOAT and shape \(2, 2\) should have 16"),
        (lambda t: t.dims.extend([-1, -1]), "tensor 'w'.*damaged"),
        (lambda t: setattr(t, "raw_data", b""), "tensor 'w'"),
        (
            lambda t: setattr(t, "data_type", 77),
            r"element type that onnxpress does not know \(77\)",
        ),
        (lambda t: t.ClearField("raw_data"), "should have 2 entries, but the file has 0"),
    ],
)
def test_a_tensor_that_does_not_fit_its_shape(
    change: Callable[[onnx.TensorProto], None], message: str
) -> None:
    model = proto("g (float[2] x) => (float[2] y) { y = Add(x, w) }", w=ONE)
    change(model.graph.initializer[0])
    with pytest.raises(ModelError, match=message):
        Model.from_proto(model)


def test_an_invalid_model_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logging.root.handlers", [])
    onnx.save(parsed("y = Add(x, missing)"), tmp_path / "a.onnx")
    with pytest.raises(ModelError):
        Model.load(tmp_path / "a.onnx")
    assert capfd.readouterr() == ("", "")


# External data.


def test_external_data_is_read_from_the_file(tmp_path: Path) -> None:
    model = Model.load(with_data(tmp_path))
    tensor = model.ir.graph.initializers["w"].const_value
    assert isinstance(tensor, ir.ExternalTensor)
    np.testing.assert_array_equal(tensor.numpy(), normal(2, 512))


def test_a_relative_path_keeps_its_data_when_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    model = Model.load("model.onnx")
    monkeypatch.chdir("/")
    model.run({"x": normal(2, 512)})


def test_missing_external_data(tmp_path: Path) -> None:
    path = with_data(tmp_path)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelError, match=r"tensor 'w' should be in .*w\.bin, but there is no such"):
        Model.load(path)


def test_external_data_that_is_too_short(tmp_path: Path) -> None:
    path = with_data(tmp_path)
    os.truncate(tmp_path / "w.bin", 4000)
    with pytest.raises(ModelError, match=r"too short: tensor 'w' needs bytes 0 to 4096.* has 4000"):
        Model.load(path)


@pytest.mark.parametrize("location", ["../outside.bin", "/etc/passwd", "", "sub"])
def test_external_data_must_be_a_file_below_the_models_folder(
    tmp_path: Path, location: str
) -> None:
    (tmp_path / "outside.bin").write_bytes(bytes(4096))
    (tmp_path / "a" / "sub").mkdir(parents=True)
    path = with_data(tmp_path / "a")
    model = onnx.load(path, load_external_data=False)
    (entry,) = (e for e in model.graph.initializer[0].external_data if e.key == "location")
    entry.value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="tensor 'w'"):
        Model.load(path)


def test_a_link_to_a_file_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    path = with_data(tmp_path / "a")
    (tmp_path / "a" / "w.bin").rename(tmp_path / "elsewhere.bin")
    (tmp_path / "a" / "w.bin").symlink_to(tmp_path / "elsewhere.bin")
    with pytest.raises(ModelError, match="outside the folder"):
        Model.load(path)


def test_links_of_a_download_cache_are_followed(tmp_path: Path) -> None:
    """Both the model and its data are links into one folder of blobs."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots"
    blobs.mkdir()
    snapshot.mkdir()
    with_data(blobs, "w.bin")
    (blobs / "model.onnx").rename(blobs / "0123")
    (blobs / "w.bin").rename(blobs / "4567")
    (snapshot / "model.onnx").symlink_to("../blobs/0123")
    (snapshot / "w.bin").symlink_to("../blobs/4567")
    model = Model.load(snapshot / "model.onnx")
    x = normal(2, 512)
    np.testing.assert_allclose(model.run({"x": x})["y"], x + x)


def test_external_data_in_a_constant_node(tmp_path: Path) -> None:
    model = proto("g (float[512] x) => (float[512] y) { c = Constant() y = Add(x, c) }")
    value = helper.make_attribute("value", numpy_helper.from_array(normal(512)))
    model.graph.node[0].attribute.append(value)
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="d", convert_attribute=True)
    loaded = Model.load(path)
    loaded.check()
    x = normal(512)
    np.testing.assert_allclose(loaded.run({"x": x})["y"], x + x)


# One spelling.


@pytest.mark.parametrize("head", ['"": 11, "ai.onnx": 13', '"": 12, "": 13', '"ai.onnx": 13'])
def test_duplicate_imports_and_the_long_domain_name(head: str) -> None:
    """ONNX Runtime takes the last; its quantizer fails: microsoft/onnxruntime#15563."""
    model = parsed("y = Softmax<axis=0>(x)", head, signature="(float[2,3] x) => (float[2,3] y)")
    model.graph.node[0].domain = "ai.onnx"
    loaded = Model.from_proto(model)
    assert loaded.provenance.source["opset"] == 13
    assert loaded.ir.opset_imports == {"": 21}
    np.testing.assert_allclose(loaded.run({"x": normal(2, 3)})["y"].sum(axis=0), 1, rtol=1e-6)


@pytest.mark.parametrize(("ir_version", "fed"), [(3, ["x"]), (4, ["x", "w"])])
def test_initializers_among_the_inputs(ir_version: int, fed: list[str]) -> None:
    """Constants below IR version 4; from it on, defaults that a caller may override."""
    model = parsed("y = Add(x, w)", '"": 9', ir_version, "(float[2] x, float[2] w) => (float[2] y)")
    model.graph.initializer.append(numpy_helper.from_array(ONE, "w"))
    loaded = Model.from_proto(model)
    assert [v.name for v in loaded.ir.graph.inputs] == fed
    assert [v.name for v in loaded.inputs] == ["x"]
    assert loaded.run({"x": ONE})["y"].tolist() == [2, 2]


def test_sparse_initializers_become_dense() -> None:
    model = parsed("y = Add(x, w)", signature="(float[2,3] x) => (float[2,3] y)")
    values = numpy_helper.from_array(np.array([5, 7], np.float32), "w")
    for indices in ([1, 5], [[0, 1], [1, 2]]):
        del model.graph.sparse_initializer[:]
        places = numpy_helper.from_array(np.array(indices), "w_indices")
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [2, 3]))
        result = Model.from_proto(model).run({"x": np.zeros((2, 3), np.float32)})
        assert result["y"].tolist() == [[0, 5, 0], [0, 0, 7]]


def test_sparse_constants_become_dense() -> None:
    model = parsed("c = Constant() y = Add(x, c)", signature="(float[4] x) => (float[4] y)")
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.array([5], np.float32)),
        numpy_helper.from_array(np.array([2])),
        [4],
    )
    model.graph.node[0].attribute.append(helper.make_attribute("sparse_value", sparse))
    result = Model.from_proto(model).run({"x": np.zeros(4, np.float32)})
    assert result["y"].tolist() == [0, 0, 5, 0]


def test_maps_survive(shared: Path, tmp_path: Path) -> None:
    path = shared / "models" / "mnist_pytorch_cnn" / "lr_mnist_scikit.onnx"
    model = Model.load(path)
    model.edit().done().save(tmp_path / "out.onnx")
    outputs = onnx.load(tmp_path / "out.onnx").graph.output
    assert outputs[1].type == onnx.load(path).graph.output[1].type
    feeds = {"float_input": normal(1, 780)}
    assert Model.load(tmp_path / "out.onnx").run(feeds) == model.run(feeds)


def test_what_onnx_ir_can_not_hold_is_an_error() -> None:
    model = parsed("y = acme.Op<t = 1>(x)", '"": 17, "acme": 1')
    attribute = model.graph.node[0].attribute[0]
    attribute.ClearField("i")
    attribute.type = onnx.AttributeProto.SPARSE_TENSORS
    values, places = numpy_helper.from_array(ONE), numpy_helper.from_array(np.array([0, 1]))
    attribute.sparse_tensors.append(helper.make_sparse_tensor(values, places, [4]))
    with pytest.raises(ModelError, match="can't represent"):
        Model.from_proto(model)


# Provenance.


def test_the_source_is_recorded_once(saved: Path, tmp_path: Path) -> None:
    model = onnx.load(saved)
    model.opset_import[0].version = 13
    model.ir_version, model.producer_name, model.producer_version = 8, "pytorch", "2.1"
    onnx.save(model, saved)
    loaded = Model.load(saved)
    expected = {"opset": 13, "ir_version": 8, "producer": "pytorch 2.1"}
    assert loaded.provenance.source == expected
    loaded.save(tmp_path / "again.onnx")
    again = Model.load(tmp_path / "again.onnx")
    assert again.provenance.source == expected
    assert (again.opset, again.ir.ir_version) == (21, 10)
    props = {p.key: p.value for p in onnx.load(tmp_path / "again.onnx").metadata_props}
    assert json.loads(props["onnxpress.source"]) == expected


def test_a_source_that_the_file_tells_by_itself_is_not_written(tmp_path: Path) -> None:
    made = proto("g (float[2] x) => (float[2] y) { y = Relu(x) }")
    made.producer_name = "pytorch"
    model = Model.from_proto(made)
    expected = {"opset": 21, "ir_version": made.ir_version, "producer": "pytorch"}
    assert model.provenance.source == expected
    model.save(tmp_path / "m.onnx")
    assert not onnx.load(tmp_path / "m.onnx").metadata_props
    assert Model.load(tmp_path / "m.onnx").provenance.source == expected


def test_reading_leaves_nothing_behind(tmp_path: Path) -> None:
    path = with_data(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    Model.load(path).run({"x": normal(2, 512)})
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_protobuf_given_stays_as_it_was_and_does_not_matter_later() -> None:
    given = proto("g (float[2] x) => (float[2] y) { y = Add(x, w) }", w=ONE)
    given.opset_import[0].version = 13
    before = given.SerializeToString()
    model = Model.from_proto(given)
    assert given.SerializeToString() == before
    given.graph.initializer[0].raw_data = bytes(8)
    assert model.run({"x": ONE})["y"].tolist() == [2, 2]


@pytest.mark.parametrize("read", [Model.load, lambda p: Model.from_proto(onnx.load(p))])
def test_custom_operators_are_read(read: Callable[[Path], Model], tmp_path: Path) -> None:
    onnx.save(
        proto("g (float[2] x) => (float[2] y) { y = acme.Magic<power=3>(x) }"), tmp_path / "m"
    )
    model = read(tmp_path / "m")
    assert model.ir.graph.node(0).attributes.get_int("power") == 3
    with pytest.raises(OnnxpressError, match="acme"):
        model.run({"x": ONE})


def test_models_read_are_equal_to_what_their_file_says(shared: Path) -> None:
    path = shared / "models" / "silero_vad" / "silero_vad.onnx"
    before, after = onnx.load(path), Model.load(path)
    names = [n.name for n in before.graph.node]
    assert [n.name for n in after.ir.graph] == names
    assert [v.name for v in after.inputs] == [v.name for v in before.graph.input]
    assert after.ir.producer_name == before.producer_name
