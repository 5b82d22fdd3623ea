from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxpress.atomic import replacing
from onnxpress.errors import ModelError, UsageError
from onnxpress.graph import write
from onnxpress.graph.model import Model
from onnxpress.measure.memory import peak_memory_mb
from tests.graphs import graph, normal, proto
from tests.laws.graphs import GRAPHS

X = normal(2, 512)


@pytest.fixture
def model() -> Model:
    return graph("g (float[2,512] x) => (float[2,512] y) { y = Add(x, w) }", w=X)


@pytest.fixture
def external(tmp_path: Path) -> Model:
    """A model whose weight lies in a file of its own."""
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "model.onnx"
    made = proto("g (float[2,512] x) => (float[2,512] y) { a = Add(x, w) y = Add(a, s) }",
                 w=X, s=normal(512)[:1])  # fmt: skip
    onnx.save(made, path, save_as_external_data=True, location="w.bin")
    return Model.load(path)


def result(path: Path) -> Any:
    """Run a file as a user would, without onnxpress."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": X})[0]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_runs_and_passes_the_checker(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "out.onnx")
    assert files(tmp_path) == ["out.onnx"]
    onnx.checker.check_model(str(tmp_path / "out.onnx"), full_check=True)
    np.testing.assert_array_equal(result(tmp_path / "out.onnx"), X + X)


def test_saving_twice_gives_the_same_bytes(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "a.onnx")
    model.save(tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_loading_and_saving_is_stable(build: Callable[[], Model], tmp_path: Path) -> None:
    build().save(tmp_path / "a.onnx")
    Model.load(tmp_path / "a.onnx").save(tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_the_file_holds_no_types_but_those_it_held(tmp_path: Path) -> None:
    made = proto("g (float[2,512] x) => (float[2,512] y) { a = Add(x, w) y = Abs(a) }", w=X)
    loaded = Model.from_proto(made)
    assert "a" in loaded.types
    loaded.save(tmp_path / "a.onnx")
    assert not onnx.load(tmp_path / "a.onnx").graph.value_info
    made.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, [2, 512]))
    Model.from_proto(made).save(tmp_path / "b.onnx")
    assert [v.name for v in onnx.load(tmp_path / "b.onnx").graph.value_info] == ["a"]


# Where it can't be written.


def test_no_such_folder(model: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        model.save(tmp_path / "missing" / "out.onnx")
    assert not (tmp_path / "missing").exists()


def test_a_folder(model: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it is a folder"):
        model.save(tmp_path)


def test_a_device_is_not_replaced_by_a_file(model: Model, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="no ordinary file"):
        model.save(tmp_path / "pipe")


@pytest.mark.parametrize("protected", ["folder", "file"])
def test_no_permission(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protected: str
) -> None:
    path = tmp_path / "out.onnx"
    path.write_bytes(b"old")
    closed = {"folder": tmp_path, "file": path}[protected]
    monkeypatch.setattr(os, "access", lambda p, mode: p != closed or mode != os.W_OK)
    with pytest.raises(UsageError, match=r"permission|protected"):
        model.save(path)
    assert path.read_bytes() == b"old"


def test_the_input_is_not_overwritten(model: Model, tmp_path: Path) -> None:
    path, link, hard = (tmp_path / name for name in ("a.onnx", "link.onnx", "hard.onnx"))
    model.save(path)
    link.symlink_to(path)
    hard.hardlink_to(path)
    loaded = Model.load(path)
    for same in (path, link, hard, tmp_path / "x" / ".." / "a.onnx"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(UsageError, match="the model is read from that file"):
            loaded.edit().done().save(same)


def test_the_inputs_data_is_not_overwritten(external: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"w\.bin: the model is read from that file"):
        external.save(tmp_path / "in" / "w.bin")
    made = proto("g (float[2,512] x) => (float[2,512] y) { y = Add(x, w) }", w=X)
    onnx.save(made, tmp_path / "a.onnx", save_as_external_data=True, location="b.onnx.data")
    with pytest.raises(UsageError, match=r"b\.onnx\.data: the model is read from that file"):
        Model.load(tmp_path / "a.onnx").save(tmp_path / "b.onnx")
    assert files(tmp_path) == ["a.onnx", "b.onnx.data", "in"]


# What goes wrong while writing.


class FullDisk:
    """A file on a disk with room for `room` more bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self.file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    original = replacing

    class Replacing:
        def __init__(self, path: Path) -> None:
            self.inner = original(path)

        def __enter__(self) -> FullDisk:
            return FullDisk(self.inner.__enter__(), room=100)

        def __exit__(self, *error: Any) -> Any:
            return self.inner.__exit__(*error)

    monkeypatch.setattr(write, "replacing", Replacing)


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("which", ["model", "external"])
def test_a_full_disk_leaves_the_old_files(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "out.onnx").write_bytes(b"old")
    (folder / "out.onnx.data").write_bytes(b"old data")
    with pytest.raises(ModelError, match=r"out\.onnx: the disk is full; what was there before"):
        request.getfixturevalue(which).save(folder / "out.onnx")
    assert files(folder) == ["out.onnx", "out.onnx.data"]
    assert (folder / "out.onnx").read_bytes() == b"old"
    assert (folder / "out.onnx.data").read_bytes() == b"old data"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KB, where we may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("no permission to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    big = graph("g (float[2,512] x) => (float[2,512] y) { y = Add(x, w) }", w=X)
    big.save(small_disk / "out.onnx")
    before = (small_disk / "out.onnx").read_bytes()
    edit = big.edit()
    edit.graph.outputs.append(edit.constant(normal(100_000), "big"))
    with pytest.raises(ModelError, match="the disk is full"):
        edit.done().save(small_disk / "out.onnx")
    assert files(small_disk) == ["out.onnx"]
    assert (small_disk / "out.onnx").read_bytes() == before


def test_interrupting_leaves_nothing(
    external: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(write, "_copy", interrupt)
    with pytest.raises(KeyboardInterrupt):
        external.save(tmp_path / "out" / "a.onnx")
    assert files(tmp_path / "out") == []


# External data.


def test_external_data_stays_external(external: Model, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "small.onnx"
    external.save(path)
    assert files(tmp_path / "out") == ["small.onnx", "small.onnx.data"]
    assert path.stat().st_size < 1000
    onnx.checker.check_model(str(path))
    np.testing.assert_allclose(result(path), external.run({"x": X})["y"])
    stored = {t.name: t for t in onnx.load(path, load_external_data=False).graph.initializer}
    assert stored["w"].data_location == TensorProto.EXTERNAL
    assert stored["s"].data_location == TensorProto.DEFAULT  # too small to be worth it
    external.save(tmp_path / "out" / "again.onnx")
    assert (tmp_path / "out" / "again.onnx.data").read_bytes() == (
        tmp_path / "out" / "small.onnx.data"
    ).read_bytes()


def test_one_file_is_enough_once_nothing_is_external_any_more(
    external: Model, tmp_path: Path
) -> None:
    edit = external.edit()
    edit.graph.initializers["w"].const_value = ir.tensor(np.zeros_like(X), name="w")
    edit.done().save(tmp_path / "out.onnx")
    assert files(tmp_path) == ["in", "out.onnx"]
    np.testing.assert_allclose(result(tmp_path / "out.onnx"), X + normal(512)[0], rtol=1e-6)


def test_a_model_that_no_longer_fits_gets_a_data_file(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "LARGEST_PROTOBUF", 1000)
    model.save(tmp_path / "out.onnx")
    assert files(tmp_path) == ["out.onnx", "out.onnx.data"]
    np.testing.assert_array_equal(result(tmp_path / "out.onnx"), X + X)
    again = Model.load(tmp_path / "out.onnx")
    again.save(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx.data").read_bytes() == (tmp_path / "out.onnx.data").read_bytes()


def test_large_tensors_begin_at_a_page_and_shared_ones_are_stored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "LARGEST_PROTOBUF", 1000)
    made = graph(
        """g (float[40000] x) => (float[40000] y) {
            a = Add(x, u) b = Add(a, v) y = Add(b, w) }""",
        u=normal(40_000),
        v=normal(40_000, seed=1),
        w=normal(40_000),
    )
    edit = made.edit()
    values = edit.graph.initializers
    values["w"].const_value = values["u"].const_value
    edit.done().save(tmp_path / "a.onnx")
    tensors = onnx.load(tmp_path / "a.onnx", load_external_data=False).graph.initializer
    stored = {t.name: {e.key: e.value for e in t.external_data} for t in tensors}
    assert stored["u"] == stored["w"]
    assert [int(s["offset"]) % 4096 for s in stored.values()] == [0, 0, 0]
    assert (tmp_path / "a.onnx.data").stat().st_size < 330_000
    x = normal(40_000, seed=2)
    expected = x + normal(40_000) * 2 + normal(40_000, seed=1)
    np.testing.assert_allclose(
        Model.load(tmp_path / "a.onnx").run({"x": x})["y"], expected, 1e-5, 1e-5
    )


# What has to survive.


def round_trip(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    Model.from_proto(model).edit().done().save(folder / "a.onnx")
    return onnx.load(folder / "a.onnx")


STORED = {
    "int4": helper.make_tensor("t", TensorProto.INT4, [3], [-8, 7, 1]),
    "uint4": helper.make_tensor("t", TensorProto.UINT4, [4], [0, 15, 1, 2]),
    "float8e4m3fn": numpy_helper.from_array(np.array([1, -2], ml_dtypes.float8_e4m3fn), "t"),
    "float8e5m2": numpy_helper.from_array(np.array([1, -2], ml_dtypes.float8_e5m2), "t"),
    "bfloat16": numpy_helper.from_array(np.array([1.5, -2], ml_dtypes.bfloat16), "t"),
    "float16": numpy_helper.from_array(np.array([1.5, -2], np.float16), "t"),
    "double": numpy_helper.from_array(np.array([1.5, -2]), "t"),
    "bool": numpy_helper.from_array(np.array([True, False]), "t"),
    "complex64": numpy_helper.from_array(np.array([1 + 2j], np.complex64), "t"),
    "empty": numpy_helper.from_array(np.zeros((0, 3), np.float32), "t"),
    "scalar": numpy_helper.from_array(np.array(3, np.int64), "t"),
    "string": numpy_helper.from_array(np.array(["a", "ü"], object), "t"),
    "typed field": helper.make_tensor("t", TensorProto.FLOAT, [2], [1.0, 2.0]),
}


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
@pytest.mark.parametrize("as_constant", [False, True], ids=["initializer", "constant"])
def test_tensors_of_every_type(stored: TensorProto, tmp_path: Path, *, as_constant: bool) -> None:
    made = proto("g (float[2] x) => (float[2] y) { y = Abs(x) }")
    kind = helper.make_tensor_value_info("t", stored.data_type, stored.dims)
    if as_constant:
        made.graph.node.append(helper.make_node("Constant", [], ["t"], value=stored))
    else:
        made.graph.initializer.append(stored)
    made.graph.output.append(kind)
    after = round_trip(made, tmp_path)
    found = after.graph.node[1].attribute[0].t if as_constant else after.graph.initializer[0]
    assert (found.data_type, found.dims) == (stored.data_type, stored.dims)
    np.testing.assert_array_equal(numpy_helper.to_array(found), numpy_helper.to_array(stored))


def test_names_documentation_metadata_and_symbolic_shapes(tmp_path: Path) -> None:
    made = proto(
        "g (float[batch,3] pixels) => (float[batch,3] y) { y = Add(pixels, w) }", w=X[:1, :3]
    )
    made.doc_string, made.producer_name, made.model_version, made.domain = "Doc", "me", 7, "org"
    made.graph.doc_string, made.graph.node[0].doc_string = "Graph", "Node"
    made.graph.node[0].name = "sum/1"
    helper.set_model_props(made, {"author": "somebody", "classes": '["a", "b"]'})
    after = round_trip(made, tmp_path)
    assert (after.doc_string, after.producer_name, after.model_version) == ("Doc", "me", 7)
    assert (after.domain, after.graph.name, after.graph.doc_string) == ("org", "g", "Graph")
    made.graph.node[0].ClearField("domain")  # "" and nothing are the same
    assert after.graph.node[0] == made.graph.node[0]
    assert list(after.graph.input) == list(made.graph.input)
    assert list(after.graph.output) == list(made.graph.output)
    props = {p.key: p.value for p in after.metadata_props}
    assert {k: v for k, v in props.items() if not k.startswith("onnxpress.")} == {
        "author": "somebody", "classes": '["a", "b"]',
    }  # fmt: skip


def test_optional_inputs_and_outputs_that_are_left_out(tmp_path: Path) -> None:
    made = proto("""g (float[5,1,4] x) => (float[1,1,3] h) {
        , h = GRU<hidden_size=3>(x, w, r, , , h0) }""",
        w=normal(1, 9, 4), r=normal(1, 9, 3), h0=normal(1, 1, 3))  # fmt: skip
    after = round_trip(made, tmp_path)
    assert list(after.graph.node[0].input) == ["x", "w", "r", "", "", "h0"]
    assert list(after.graph.node[0].output) == ["", "h"]


def test_subgraphs_functions_and_custom_domains(tmp_path: Path) -> None:
    made = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 21, "local": 1, "acme": 2]>
        g (float[2] x, bool c) => (float[2] y) {
            a = If(c) <then_branch = t () => (float[2] p) { p = local.twice<by = 3.0>(x) },
                       else_branch = e () => (float[2] q) { q = Loop(n, ok, x) <body = b
                        (int64 i, bool k, float[2] s) => (bool k2, float[2] s2) {
                            k2 = Identity(k) s2 = Add(s, x) }> }>
            y = acme.Custom<factor = 2, names = ["a", "b"]>(a) }
        <domain: "local", opset_import: ["": 21], doc_string: "Twice">
        twice <by> (v) => (w) { f = Constant<value_float: float = @by>() w = Mul(v, f) }"""
    )
    made.graph.initializer.extend(
        [numpy_helper.from_array(np.array(3), "n"), numpy_helper.from_array(np.array(1) > 0, "ok")]
    )
    after = round_trip(made, tmp_path)
    for proto_ in (made, after):
        for node in proto_.graph.node:
            node.ClearField("name")
    assert onnx.printer.to_text(after.graph) == onnx.printer.to_text(made.graph)
    assert onnx.printer.to_text(after.functions[0]) == onnx.printer.to_text(made.functions[0])
    assert {o.domain: o.version for o in after.opset_import} == {"": 21, "local": 1, "acme": 2}


# Large models.


def sparse_model(folder: Path, layers: int, rows: int) -> Path:
    """Save a model with `layers` square weights, whose bytes take no room on the disk."""
    size = rows * rows * 4
    with open(folder / "weights", "wb") as file:
        file.truncate(layers * size)
    tensors, nodes = [], []
    for i in range(layers):
        tensor = TensorProto(name=f"w{i}", dims=[rows, rows], data_type=TensorProto.FLOAT)
        tensor.data_location = TensorProto.EXTERNAL
        for key, entry in (("location", "weights"), ("offset", i * size), ("length", size)):
            tensor.external_data.add(key=key, value=str(entry))
        tensors.append(tensor)
        nodes.append(helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"]))
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes, "g", [value("x0", 1, ["N", rows])], [value(f"x{layers}", 1, ["N", rows])], tensors
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              folder / "big.onnx")  # fmt: skip
    return folder / "big.onnx"


LOOK = """
import sys
from onnxpress.graph.model import Model
from onnxpress.measure.memory import peak_memory_mb
model = Model.load(sys.argv[1])
assert len(model.layers) == 24
assert sum(layer.parameters for layer in model.layers) == 24 * 4096**2
assert model.types["x24"].shape == ("N", 4096)
if len(sys.argv) > 2:
    model.save(sys.argv[2])
print(int(peak_memory_mb()))
"""


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not stay after the test, as pytest's usually do."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.slow
def test_looking_at_a_model_of_1600_megabytes_takes_less_than_300(roomy: Path) -> None:
    path = sparse_model(roomy, layers=24, rows=4096)
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 300


@pytest.mark.slow
def test_saving_it_takes_no_more(roomy: Path) -> None:
    path, out = sparse_model(roomy, layers=24, rows=4096), roomy / "out.onnx"
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(path), str(out)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 300
    assert (roomy / "out.onnx.data").stat().st_size == 24 * 4096**2 * 4


@pytest.mark.slow
def test_a_model_of_more_than_two_gigabytes_is_loaded_edited_and_saved(roomy: Path) -> None:
    model = Model.load(sparse_model(roomy, layers=9, rows=8192))
    edit = model.edit()
    edit.set_weight(edit.layers[0].weight, np.eye(8192, dtype=np.float32)[:, :8])
    changed = edit.done()
    before = peak_memory_mb()
    changed.save(roomy / "out.onnx")
    assert peak_memory_mb() - before < 100
    assert (roomy / "out.onnx.data").stat().st_size > 2**31
    again = Model.load(roomy / "out.onnx")
    assert again.layers[0].weight.shape == (8192, 8)
    assert again.layers[0].weight.array().sum() == 8
