"""The steps `pack` and `unpack`: what they say, what they choose, and what later steps see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from typer.testing import CliRunner

import onnxpress
from onnxpress.cli.app import app
from onnxpress.comparison import compare
from onnxpress.errors import UnknownNameError
from onnxpress.graph.model import Model
from onnxpress.graph.pruned import pruned_names
from onnxpress.inspection import inspect
from onnxpress.job import Job
from onnxpress.packing.marks import packed_names
from onnxpress.testing import check_transform
from onnxpress_pruning import Pack, Unpack
from tests.graphs import graph, normal, proto


def tutorial() -> Model:
    """Return the net of TFMOT's pruning tutorial for MNIST: 20,410 parameters."""
    rng = np.random.default_rng(0)

    def tensor(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((rng.standard_normal(shape) * 0.1).astype(np.float32), name)

    return graph(
        """g (float[N,1,28,28] image) => (float[N,10] logits) {
        c = Conv(image, conv, conv_bias) r = Relu(c)
        p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) f = Flatten(p)
        logits = Gemm(f, fc, fc_bias) }""",
        conv=tensor("conv", 12, 1, 3, 3), conv_bias=tensor("conv_bias", 12),
        fc=tensor("fc", 2028, 10), fc_bias=tensor("fc_bias", 10),
    )  # fmt: skip


PRUNED = "magnitude-pruning:sparsity=0.8"
IMAGES = np.random.default_rng(1).random((64, 1, 28, 28)).astype(np.float32)


def saved(folder: Path, *steps: str, name: str = "small.onnx") -> Path:
    """Compress the tutorial's net, save it, and return the file."""
    data = {"image": IMAGES, "labels": np.arange(64) % 10}
    onnxpress.compress(tutorial(), steps, data=data).model.save(folder / name)
    return folder / name


def outputs(path: Path) -> bytes:
    return Model.load(path).run({"image": IMAGES})["logits"].tobytes()


def test_the_tutorials_net_takes_25_kilobytes(tmp_path: Path) -> None:
    assert tutorial().cost().parameters == 20_410
    plain = saved(tmp_path, PRUNED, name="plain.onnx")
    packed = saved(tmp_path, PRUNED, "pack")
    assert plain.stat().st_size > 80_000
    assert packed.stat().st_size <= 21_000
    onnx.checker.check_model(str(packed), full_check=True)
    assert outputs(plain) == outputs(packed)


def test_its_integer_weights_take_a_third_of_a_byte_each(tmp_path: Path) -> None:
    plain = saved(tmp_path, PRUNED, "linear-quantization", name="plain.onnx")
    packed = saved(tmp_path, PRUNED, "linear-quantization", "pack")
    # Of fc alone 6.6 kB are left; the rest are nodes, scales, names and the history.
    assert packed.stat().st_size <= 8_200
    assert outputs(plain) == outputs(packed)


def test_pairs_of_its_integer_weights_take_7_kilobytes(tmp_path: Path) -> None:
    steps = [f"{PRUNED},structure=block,block=2x1", "linear-quantization"]
    plain = saved(tmp_path, *steps, name="plain.onnx")
    packed = saved(tmp_path, *steps, "pack")
    assert packed.stat().st_size <= 7_300
    assert outputs(plain) == outputs(packed)


def test_what_it_says(tmp_path: Path) -> None:
    job = Job()
    model = Model.load(saved(tmp_path, PRUNED))
    packed = Pack().apply(model, job)
    said = {change.subject: change.details for change in job.changed}
    assert list(said) == ["conv", "fc"]
    assert said["fc"]["stored_as"] == "gaps and skips (4 bits) and values"
    assert said["fc"]["bytes_before"] > 4 * 20_280
    assert said["fc"]["bytes_after"] < 19_200
    assert job.declined == []  # of biases nobody expects it
    assert packed.cost().bytes_stored < 21_000 < model.cost().bytes_stored


def test_it_keeps_the_laws(tmp_path: Path) -> None:
    packed = check_transform(Pack(), Model.load(saved(tmp_path, PRUNED)))
    plain = check_transform(Unpack(), packed)
    assert packed_names(plain.ir) == []


def test_dense_weights_are_declined() -> None:
    job = Job()
    model = tutorial()
    assert Pack().apply(model, job) is model
    assert {d.subject: d.reason for d in job.declined} == dict.fromkeys(
        ("conv", "fc"), "no packed form takes fewer bytes than the plain one"
    )


def test_chosen_layers_only(tmp_path: Path) -> None:
    model = Model.load(saved(tmp_path, PRUNED))
    assert packed_names(Pack(layers=["op:Gemm"]).apply(model, Job()).ir) == ["fc"]
    assert packed_names(Pack(exclude=["fc"]).apply(model, Job()).ir) == ["conv"]
    with pytest.raises(UnknownNameError, match="there is no layer called 'dense'"):
        Pack(layers=["dense"]).apply(model, Job())


def test_less_than_the_nodes_take_is_no_gain() -> None:
    job = Job()
    weight = np.zeros((8, 10), np.float32)
    weight[0, :5] = 1
    model = graph("g (float[N,8] x) => (float[N,10] y) { y = MatMul(x, w) }", w=weight)
    result = Pack().apply(model, job)
    size = result.cost().bytes_stored
    assert size <= model.cost().bytes_stored + 40  # the record
    assert len(job.changed) + len(job.declined) == 1


def test_an_input_that_overrides_weights_is_declined_unless_frozen() -> None:
    weight = normal(40, 40)
    weight[np.random.default_rng(0).random((40, 40)) < 0.9] = 0
    made = proto(
        "g (float[N,40] x, float[40,40] w) => (float[N,40] y) { y = MatMul(x, w) }", w=weight
    )
    job = Job()
    model = Model.from_proto(made)
    assert Pack().apply(model, job) is model
    assert "freeze makes it a constant" in job.declined[0].reason
    assert packed_names(Pack(freeze=True).apply(model, Job()).ir) == ["w"]


def test_weights_in_functions_are_declined() -> None:
    made = proto(
        """<ir_version: 10, opset_import: ["": 21, "own": 1]>
        g (float[N,40] x) => (float[N,40] y) { y = own.f(x) }
        <domain: "own", opset_import: ["": 21]> f (a) => (b) { b = MatMul(a, w) }"""
    )
    tensor = numpy_helper.from_array(np.eye(40, dtype=np.float32), "w")
    made.functions[0].node.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
    job = Job()
    Pack().apply(Model.from_proto(made), job)
    assert [d.reason for d in job.declined] == ["w is stored in the body of a function"]


def test_unpack_gives_the_file_back(tmp_path: Path) -> None:
    path = saved(tmp_path, PRUNED, "pack")
    job = Job()
    plain = Unpack().apply(Model.load(path), job)
    assert [change.subject for change in job.changed] == ["conv", "fc"]
    plain.save(tmp_path / "plain.onnx")
    operators = {node.op_type for node in onnx.load(tmp_path / "plain.onnx").graph.node}
    assert operators == {"Conv", "Relu", "MaxPool", "Flatten", "Gemm"}
    assert outputs(path) == outputs(tmp_path / "plain.onnx")
    job = Job()
    assert Unpack().apply(plain, job) is plain
    assert job.declined[0].reason == "none of the chosen tensors is packed"


def test_unpack_some(tmp_path: Path) -> None:
    model = Model.load(saved(tmp_path, PRUNED, "pack"))
    assert packed_names(Unpack(layers=["fc"]).apply(model, Job()).ir) == ["conv"]
    assert packed_names(Unpack(exclude=["fc"]).apply(model, Job()).ir) == ["fc"]


def test_inspect_and_compare_see_the_plain_model(tmp_path: Path) -> None:
    plain = Model.load(saved(tmp_path, PRUNED, name="plain.onnx"))
    packed = Model.load(saved(tmp_path, PRUNED, "pack"))
    before, after = (inspect(model).to_dict() for model in (plain, packed))
    different = {key for key in before if before[key] != after[key]}
    assert different == {"bytes_stored", "files", "history", "packed"}
    assert after["packed"] == ["conv", "fc"]
    assert after["bytes_stored"] == (tmp_path / "small.onnx").stat().st_size
    assert compare(plain, packed, data={"image": IMAGES}).to_dict()["outputs"]


@pytest.mark.parametrize("step", ["linear-quantization", "finetune:epochs=1", "magnitude-pruning"])
def test_later_steps_work_on_a_packed_file_and_leave_it_packed(step: str, tmp_path: Path) -> None:
    path = saved(tmp_path, PRUNED, "pack")
    data = {"image": IMAGES, "labels": np.arange(64) % 10}
    result = onnxpress.compress(path, [step], data=data).model
    result.save(tmp_path / "later.onnx")
    assert {"fc"} <= set(packed_names(result.ir)) & set(pruned_names(result.ir))
    assert (tmp_path / "later.onnx").stat().st_size < path.stat().st_size + 3000
    stored = {t.name for t in onnx.load(tmp_path / "later.onnx").graph.initializer}
    assert "fc" not in stored


def test_two_of_four_is_written_down_with_its_axis(tmp_path: Path) -> None:
    weight = normal(32, 30)
    weight.reshape(8, 4, 30)[:, [1, 2]] = 0
    model = graph("g (float[N,32] x) => (float[N,30] y) { y = MatMul(x, w) }", w=weight)
    packed = Pack().apply(model, Job())
    packed.save(tmp_path / "m.onnx")
    found = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert found["onnxpress.two_of_four"] == '{"w":0}'


def test_from_the_command_line(tmp_path: Path) -> None:
    path = saved(tmp_path, PRUNED, name="plain.onnx")
    arguments = ["compress", str(path), "-o", str(tmp_path / "o.onnx"), "--step", "pack"]
    dry = CliRunner().invoke(app, [*arguments, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert not (tmp_path / "o.onnx").exists()
    run = CliRunner().invoke(app, [*arguments, "--verbose"])
    assert run.exit_code == 0, run.output
    assert "bytes_after" in run.output
    assert outputs(tmp_path / "o.onnx") == outputs(path)
