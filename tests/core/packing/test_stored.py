"""Packed files: smaller, the same to ONNX Runtime, and plain again when they are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from google.protobuf import text_format  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper

from onnxpress.data.batch import Array
from onnxpress.errors import UsageError
from onnxpress.graph.model import Model
from onnxpress.packing.layouts import PACKABLE
from onnxpress.packing.marks import PACKED, mark_packed, packed_names
from onnxpress.packing.stored import packable, stored_form, weigh
from onnxpress.session import session_options
from tests.graphs import graph, normal, proto


def sparse(*shape: int, share: float = 0.8, seed: int = 0) -> Array:
    array = normal(*shape, seed=seed)
    array[np.random.default_rng(seed).random(shape) < share] = 0
    return array


def marked(model: Model, names: Sequence[str] | None = None) -> Model:
    """Mark tensors, all by default, to be packed."""
    edit = model.edit()
    mark_packed(edit.ir, packable(edit.ir) if names is None else names)
    return edit.done()


def operators(path: Path) -> list[str]:
    """Return the operators of a file's main graph and of the bodies in it."""
    found = [node for graph in ir.load(path).graphs() for node in graph]
    return sorted(node.op_type for node in found if node.op_type != "Constant")


def folded(path: Path) -> list[str]:
    """Return the operators that are left once ONNX Runtime has loaded a file."""
    options = session_options(1)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path.with_suffix(".optimized"))
    ort.InferenceSession(path, options)
    return operators(path.with_suffix(".optimized"))


def outputs(path: Path, **feeds: Array) -> list[Array]:
    found: list[Array] = ort.InferenceSession(path, session_options(1)).run(None, feeds)
    return found


def check_round_trip(model: Model, folder: Path, **feeds: Array) -> Model:
    """Save plain and packed; check the file, what it computes and what is read of it."""
    plain, packed = folder / "plain.onnx", folder / "packed.onnx"
    model.save(plain)
    marked(model).save(packed)
    onnx.checker.check_model(str(packed), full_check=True)
    assert sum(f.stat().st_size for f in folder.glob("packed*")) < sum(
        f.stat().st_size for f in folder.glob("plain*")
    )
    assert operators(packed) != operators(plain)
    for one, other in zip(outputs(plain, **feeds), outputs(packed, **feeds), strict=True):
        assert one.tobytes() == other.tobytes()
    assert folded(packed) == folded(plain)
    back = Model.load(packed)
    check_same(model, back)
    back.save(folder / "again.onnx")
    assert (folder / "again.onnx").read_bytes() == packed.read_bytes() or list(
        folder.glob("*.data")
    )
    return back


def check_same(wanted: Model, found: Model) -> None:
    tensors = {n: v.const_value for n, v in packable(wanted.ir).items() if v.const_value}
    others = {n: v.const_value for n, v in packable(found.ir).items() if v.const_value}
    for name, tensor in tensors.items():
        assert others[name].dtype == tensor.dtype
        assert others[name].tobytes() == tensor.tobytes(), name
        assert others[name].shape == tensor.shape


@pytest.mark.parametrize("dtype", sorted(PACKABLE), ids=ir.DataType.__str__)
@pytest.mark.parametrize("block", [1, 4])
def test_skips_take_no_value_and_are_folded(dtype: ir.DataType, block: int, tmp_path: Path) -> None:
    kept = np.repeat(sparse(300, 80, share=0.9) != 0, block, axis=1)
    array = np.where(kept, 1 + np.arange(kept.size).reshape(kept.shape) % 6, 0)
    four = dtype.bitwidth == 4
    read = "f = DequantizeLinear(w, s)" if four else "f = Cast<to=1>(w)"
    text = f"g (float[300,C] x) => (float[300,C] y) {{ {read} y = Add(x, f) }}"
    tensor = numpy_helper.from_array(array.astype(dtype.numpy()), "w")
    model = graph(text, w=tensor, **({"s": np.float32(0.5)} if four else {}))
    layout = weigh(model.ir.graph.initializers["w"]).layout
    assert layout is not None
    assert (layout.kind, layout.block) == ("skips", block)
    check_round_trip(model, tmp_path, x=normal(*array.shape))


def test_a_mark_of_what_is_packed_is_not_written(tmp_path: Path) -> None:
    marked(several()).save(tmp_path / "m.onnx")
    found = {prop.key: prop.value for prop in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert found[PACKED] == '["dense"]'  # which stayed plain
    assert packed_names(Model.load(tmp_path / "m.onnx").ir) == ["dense", "gaps", "mask", "rows"]


SHARES = {"mask": 0.6, "gaps": 0.97, "dense": 0.0}


def several() -> Model:
    """One matrix for every way to pack, in odd sizes; one that stays plain."""
    rows = np.zeros((32, 60), np.float32)
    rows[3:9] = 1.5
    return graph(
        """g (float[N,32] x) => (float[N,61] a, float[N,61] b, float[N,61] c, float[N,60] d)
        { a = MatMul(x, mask) b = MatMul(x, gaps) c = MatMul(x, dense) d = MatMul(x, rows) }""",
        rows=rows,
        **{name: sparse(32, 61, share=share) for name, share in SHARES.items()},
    )


def test_every_way_to_pack_is_folded_and_read_again(tmp_path: Path) -> None:
    back = check_round_trip(several(), tmp_path, x=normal(3, 32))
    assert packed_names(back.ir) == ["dense", "gaps", "mask", "rows"]
    used = set(operators(tmp_path / "packed.onnx"))
    assert {"GatherElements", "ScatterND"} <= used
    assert "dense" in onnx_initializers(tmp_path / "packed.onnx")
    assert [node.op_type for node in back.ir.graph] == ["MatMul"] * 4


def onnx_initializers(path: Path) -> list[str]:
    return [tensor.name for tensor in onnx.load(path).graph.initializer]


def test_a_plain_file_of_what_was_packed_is_the_file_from_before(tmp_path: Path) -> None:
    model = several()
    model.save(tmp_path / "plain.onnx")
    marked(model).save(tmp_path / "packed.onnx")
    edit = Model.load(tmp_path / "packed.onnx").edit()
    mark_packed(edit.ir, [])
    edit.done().save(tmp_path / "unpacked.onnx")
    assert (tmp_path / "plain.onnx").read_bytes() == (tmp_path / "unpacked.onnx").read_bytes()


@pytest.mark.parametrize("dtype", sorted(PACKABLE), ids=ir.DataType.__str__)
@pytest.mark.parametrize("share", [0.55, 0.8, 0.97])
def test_every_type_is_folded(dtype: ir.DataType, share: float, tmp_path: Path) -> None:
    array = (sparse(60, 41, share=share) * 3).astype(dtype.numpy())
    tensor = numpy_helper.from_array(array, "w")
    four = dtype.bitwidth == 4
    read = "f = DequantizeLinear(w, s)" if four else "f = Cast<to=1>(w)"
    text = f"g (float[60,41] x) => (float[60,41] y) {{ {read} y = Add(x, f) }}"
    model = graph(text, w=tensor, **({"s": np.float32(0.5)} if four else {}))
    check_round_trip(model, tmp_path, x=normal(60, 41))


@pytest.mark.parametrize("share", [0.6, 0.97])
def test_quantized_weights_run_in_the_same_integer_kernels(share: float, tmp_path: Path) -> None:
    weight = np.round(sparse(64, 50, share=share) * 40).astype(np.int8)
    model = graph(
        """g (float[N,64] x) => (float[N,50] y) {
        q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) e = DequantizeLinear(w, s, i)
        m = MatMul(d, e) n = QuantizeLinear(m, s, z) y = DequantizeLinear(n, s, z) }""",
        w=weight, s=np.float32(0.02), z=np.uint8(128), i=np.int8(0),
    )  # fmt: skip
    check_round_trip(model, tmp_path, x=normal(3, 64))
    kinds = []
    for name in ("plain", "packed"):
        options = session_options(1)
        options.optimized_model_filepath = str(tmp_path / name)
        ort.InferenceSession(tmp_path / f"{name}.onnx", options)
        kinds.append(operators(tmp_path / name))
    assert kinds[0] == kinds[1]
    assert "QLinearMatMul" in kinds[0]


def test_values_that_are_no_numbers_and_negative_zeros_stay(tmp_path: Path) -> None:
    array = sparse(50, 40, share=0.9)
    array[0, :4] = [np.nan, np.inf, -np.inf, -0.0]
    model = graph("g (float[50,40] x) => (float[50,40] y) { y = Add(x, w) }", w=array)
    check_round_trip(model, tmp_path, x=normal(50, 40))


def test_a_tensor_that_layers_share_and_one_that_is_an_output(tmp_path: Path) -> None:
    model = graph(
        """g (float[N,40] x) => (float[N,40] y, float[40,40] w)
        { h = MatMul(x, w) y = MatMul(h, w) }""",
        w=sparse(40, 40),
    )
    back = check_round_trip(model, tmp_path, x=normal(2, 40))
    assert [value.name for value in back.outputs] == ["y", "w"]


def test_constants_become_stored_tensors(tmp_path: Path) -> None:
    made = proto("g (float[N,40] x) => (float[N,40] y) { y = MatMul(x, w) }")
    tensor = numpy_helper.from_array(sparse(40, 40), "w")
    made.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
    back = check_round_trip(Model.from_proto(made), tmp_path, x=normal(2, 40))
    assert list(back.ir.graph.initializers) == ["w"]


def branches() -> Model:
    """Weights inside the branches of an If, and one outside that both of them read."""
    made = proto(
        """g (bool c, float[N,40] x) => (float[N,40] y) {
        y = If (c) <
          then_branch = t () => (float[N,40] a) { h = MatMul(x, w) a = MatMul(h, outer) },
          else_branch = e () => (float[N,40] b) { i = MatMul(x, v) b = Add(i, outer) } > }""",
        outer=sparse(40, 40, seed=1),
    )
    for attribute, name in zip(made.graph.node[0].attribute, ("w", "v"), strict=True):
        attribute.g.initializer.append(numpy_helper.from_array(sparse(40, 40, seed=2), name))
    return Model.from_proto(made)


@pytest.mark.parametrize("condition", [True, False])
def test_tensors_in_bodies(condition: bool, tmp_path: Path) -> None:  # noqa: FBT001
    back = check_round_trip(branches(), tmp_path, c=np.array(condition), x=normal(40, 40, seed=3))
    assert packed_names(back.ir) == ["outer", "v", "w"]


def test_tensors_of_functions_are_none_that_can_be_packed() -> None:
    made = proto(
        """<ir_version: 10, opset_import: ["": 21, "own": 1]>
        g (float[N,4] x) => (float[N,4] y) { y = own.f(x) }
        <domain: "own", opset_import: ["": 21]>
        f (a) => (b) { w = Constant<value_floats=[1.0, 0.0, 0.0, 0.0]>() b = Mul(a, w) }"""
    )
    assert packable(Model.from_proto(made).ir) == {}


def test_what_a_caller_may_override_stays_plain() -> None:
    made = proto("g (float[N,40] x, float[40,40] w) => (float[N,40] y) { y = MatMul(x, w) }",
                 w=sparse(40, 40))  # fmt: skip
    assert packable(Model.from_proto(made).ir) == {}


def test_what_packing_would_make_larger_stays_plain(tmp_path: Path) -> None:
    model = graph(
        "g (float[N,9] x) => (float[N,4] y) { h = MatMul(x, w) y = Add(h, b) }",
        w=sparse(9, 4), b=np.zeros(4),
    )  # fmt: skip
    assert stored_form(marked(model).ir).graph.initializers.keys() == {"w", "b"}
    assert weigh(model.ir.graph.initializers["w"]).layout is None


def test_names_of_the_model_are_not_taken_again(tmp_path: Path) -> None:
    model = graph(
        "g (float[N,40] _0) => (float[N,40] _3) { _1 = MatMul(_0, _5) _3 = Relu(_1) }",
        _5=sparse(40, 40),
    )
    check_round_trip(model, tmp_path, _0=normal(2, 40))


def test_the_size_is_known_before_it_is_written(tmp_path: Path) -> None:
    for i, model in enumerate((several(), branches())):
        packed = marked(model)
        path = tmp_path / f"{i}.onnx"
        packed.save(path)
        said = packed.cost().bytes_stored
        assert abs(said - path.stat().st_size) <= 2  # varints of the graph around


@pytest.mark.parametrize(("name", "shared"), [("mask", 60), ("gaps", 18), ("rows", 18)])
def test_what_packing_saves_is_said_to_a_few_bytes(name: str, shared: int, tmp_path: Path) -> None:
    model = several()
    model.save(tmp_path / "plain.onnx")
    marked(model, [name]).save(tmp_path / "packed.onnx")
    plain, packed = ((tmp_path / f"{p}.onnx").stat().st_size for p in ("plain", "packed"))
    packing = weigh(model.ir.graph.initializers[name])
    assert plain - packed == pytest.approx(packing.before - packing.after - shared, abs=20)


@pytest.fixture
def external(tmp_path: Path) -> Path:
    made = proto("g (float[N,200] x) => (float[N,200] y) { h = MatMul(x, w) y = MatMul(h, v) }",
                 w=sparse(200, 200), v=normal(200, 200))  # fmt: skip
    (tmp_path / "from").mkdir()
    path = tmp_path / "from" / "model.onnx"
    onnx.save(made, path, save_as_external_data=True, location="model.bin", size_threshold=0)
    return path


def test_parts_of_external_tensors_are_external(external: Path, tmp_path: Path) -> None:
    model = Model.load(external)
    back = check_round_trip(model, tmp_path, x=normal(2, 200))
    assert (tmp_path / "packed.onnx").stat().st_size < 4000
    assert back.cost().bytes_stored == sum(f.stat().st_size for f in tmp_path.glob("packed*.onnx*"))


def test_the_files_of_packed_parts_are_not_overwritten(external: Path, tmp_path: Path) -> None:
    packed = marked(Model.load(external), ["w"])
    packed.save(tmp_path / "a.onnx")
    for path in tmp_path.glob("a.onnx*"):
        with pytest.raises(UsageError, match="the model is read from that file"):
            Model.load(tmp_path / "a.onnx").save(path)


def change(path: Path, alter: Any) -> Model:
    """Write a packed file, let `alter` change its protobuf, and read it."""
    marked(graph("g (float[N,40] x) => (float[N,40] y) { y = MatMul(x, w) }",
                 w=sparse(40, 40, share=0.6))).save(path)  # fmt: skip
    made = onnx.load(path)
    alter(made)
    onnx.save(made, path)
    return Model.load(path)


def _scale(made: onnx.ModelProto) -> None:
    last = next(node for node in made.graph.node if node.op_type == "GatherElements")
    last.op_type = "Gather"


def _reverse(made: onnx.ModelProto) -> None:
    total = next(node for node in made.graph.node if node.op_type == "CumSum")
    total.attribute.append(helper.make_attribute("reverse", 1))


def _peek(made: onnx.ModelProto) -> None:
    bits = next(node for node in made.graph.node if node.op_type == "BitwiseAnd").output[0]
    made.graph.output.append(helper.make_tensor_value_info(bits, TensorProto.UINT8, None))


def _flip(made: onnx.ModelProto) -> None:
    planes = next(t for t in made.graph.initializer if t.dims[:1] == [1] and t.dims[1:])
    planes.raw_data = bytes(len(planes.raw_data))


@pytest.mark.parametrize("alter", [_scale, _reverse, _peek, _flip])
def test_what_was_changed_is_left_as_it_is(alter: Any, tmp_path: Path) -> None:
    model = change(tmp_path / "m.onnx", alter)
    assert "BitwiseAnd" in {node.op_type for node in model.ir.graph}
    assert packed_names(model.ir) == []
    model.save(tmp_path / "again.onnx")
    x = normal(2, 40)
    one, other = (outputs(tmp_path / name, x=x)[0] for name in ("m.onnx", "again.onnx"))
    assert one.tobytes() == other.tobytes()


def test_without_metadata_and_with_other_names_it_is_still_found(tmp_path: Path) -> None:
    def alter(made: onnx.ModelProto) -> None:
        del made.metadata_props[:]
        text = re.sub(r'"_(\d+)"', r'"other\1"', str(made))
        made.CopyFrom(text_format.Parse(text, onnx.ModelProto()))

    model = change(tmp_path / "m.onnx", alter)
    assert [node.op_type for node in model.ir.graph] == ["MatMul"]
    assert packed_names(model.ir) == ["w"]


def test_a_record_that_is_no_list_is_none() -> None:
    edit = several().edit()
    for text in ("}{", "3"):
        edit.ir.metadata_props[PACKED] = text
        assert packed_names(edit.ir) == []
        assert stored_form(edit.ir) is edit.ir
