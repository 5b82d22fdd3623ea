from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from rich.console import Console

from onnxpress.errors import UnknownNameError
from onnxpress.graph.history import append_step
from onnxpress.graph.model import Model
from onnxpress.inspection import Inspection, inspect
from tests.graphs import graph, normal, proto

TEXT = """g (float[N,4] x) => (float[N,3] y) {
    ["fc1"] a = MatMul(x, w)
    n = LayerNormalization(a, s)
    q = QuantizeLinear(v, scale, zero)
    d = DequantizeLinear(q, scale, zero)
    ["fc2"] m = Gemm(n, d, b)
    ["again"] g = MatMul(x, w)
    h = acme.Odd(g)
    y = Add(m, h)
}"""


def make() -> Model:
    w, v = normal(4, 3), normal(3, 3)
    w[0] = 0
    return graph(
        TEXT,
        w=w,
        s=np.array([1, 0, 0], np.float32),
        v=v,
        b=normal(3),
        scale=np.float32(0.1),
        zero=np.int8(0),
    )


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    return inspect(make())


def test_keys_that_scripts_rely_on(inspection: Inspection) -> None:
    facts = json.loads(json.dumps(inspection.to_dict(), allow_nan=False))
    assert facts["parameters"] == 12 + 3 + 9 + 3
    assert facts["weights"] == 12 + 9
    assert facts["macs"] == 12 + 9 + 12
    assert facts["bytes_stored"] > facts["bytes_in_memory"] >= 27 * 4
    assert (
        facts["sparsity"] == 3 / 21
    )  # the shared weight counts once, the normalisation not at all
    assert facts["opset"] == 21
    assert facts["history"] == []
    assert facts["layers"][0] == {
        "name": "fc1",
        "op_type": "MatMul",
        "parameters": 12,
        "macs": 12,
        "sparsity": 0.25,
        "weight_shape": [4, 3],
        "precision": "float32",
        "weight": "w",
        "groups": 1,
    }


def test_layers(inspection: Inspection) -> None:
    rows = [(f.name, f.op_type, f.sparsity, f.precision, f.macs) for f in inspection.layers]
    assert rows == [
        ("fc1", "MatMul", 0.25, "float32", 12),
        ("n", "LayerNormalization", 2 / 3, "float32", 0),
        ("fc2", "Gemm", 0.0, "int8", 9),
        ("again", "MatMul", 0.25, "float32", 12),
    ]


def test_what_else_there_is(inspection: Inspection) -> None:
    facts = inspection.to_dict()
    assert facts["precision"] == {"float32": 12 / 21, "int8": 9 / 21}
    assert facts["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["N", 4]}]
    assert facts["outputs"] == [{"name": "y", "dtype": "float32", "shape": ["N", 3]}]
    assert facts["assumed_dims"] == {"N": 1}
    assert facts["operators"]["MatMul"] == 2
    assert facts["operators"]["acme::Odd"] == 1
    assert facts["custom_domains"] == ["acme"]
    assert facts["unknown_macs"] == {"h": "the table 'cost' has no rule for acme::Odd"}
    assert facts["source"]["opset"] == 21
    assert facts["files"] == []


def test_sizes_for_dimensions() -> None:
    assert inspect(make(), {"N": 3}).cost.macs == 3 * 33
    assert inspect(make(), {"N": 3}).cost.assumed == ()
    with pytest.raises(UnknownNameError):
        inspect(make(), {"M": 3})


def test_history() -> None:
    edit = make().edit()
    append_step(edit.ir, {"name": "magnitude-pruning", "options": {"sparsity": 0.5}})
    found = inspect(edit.done())
    assert found.to_dict()["history"] == [
        {"name": "magnitude-pruning", "options": {"sparsity": 0.5}}
    ]
    assert "magnitude-pruning" in shown(found)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    made = proto("g (float[N,4] x) => (float[N,3] y) { y = MatMul(x, w) }", w=normal(4, 3))
    onnx.save(made, path, save_as_external_data=True, location="m.data", size_threshold=0)
    found = inspect(Model.load(path))
    assert [Path(file).name for file in found.files] == ["m.onnx", "m.data"]


def test_weights_that_callers_may_replace_are_named() -> None:
    model = graph(
        "g (float[N,4] x, float[4,3] w) => (float[N,3] y) { y = MatMul(x, w) }", w=normal(4, 3)
    )
    inspection = inspect(model)
    assert inspection.to_dict()["overridable"] == ["w"]
    assert "1 stored tensors are inputs as well" in shown(inspection)


def test_a_model_without_layers() -> None:
    found = inspect(graph("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }"))
    assert (found.sparsity, found.layers, dict(found.precision)) == (0.0, (), {})
    assert "Relu 1" in shown(found)


def shown(inspection: Inspection, width: int = 100) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(inspection)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_table_says_it_in_words(inspection: Inspection) -> None:
    text = shown(inspection)
    for words in (
        "27 (21 of them weights)",
        "33 per inference with N = 1, not counting h",
        "14.3% of the weights",
        "float32 57.1%, int8 42.9%",
        "x: float32 N × 4",
        "again",
    ):
        assert words in text


def test_brackets_in_names_are_no_markup() -> None:
    model = graph(
        'g (float[N,4] x) => (float[N,3] y) { ["[red]fc[/]"] y = MatMul(x, w) }', w=normal(4, 3)
    )
    assert "[red]fc[/]" in shown(inspect(model))


def test_long_names_lose_their_middle() -> None:
    name = "start/" + "x" * 100 + "/end"
    model = graph(
        f'g (float[N,4] x) => (float[N,3] y) {{ ["{name}"] y = MatMul(x, w) }}', w=normal(4, 3)
    )
    text = shown(inspect(model), width=200)
    assert "start/xx" in text
    assert "…" in text
    assert "xx/end" in text
    assert name not in text


def test_old_opset_and_producer_are_shown(shared: Path) -> None:
    text = shown(inspect(Model.load(shared / "models/mnist_cntk/mnist.onnx")))
    assert "made opset 8 by CNTK" in text


MEASURE = """
import sys
from onnxpress.graph.model import Model
from onnxpress.inspection import inspect
found = inspect(Model.load(sys.argv[1])).to_dict()
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(found["parameters"], found["sparsity"], found["bytes_stored"], peak)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_a_big_model_fits_into_little_memory(tmp_path: Path) -> None:
    """1.5 GB of weights in 24 layers; every page of the file is looked at."""
    layers, size = 24, 4096
    write_big_model(tmp_path / "big.onnx", layers, size)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "big.onnx")],
        capture_output=True,
        check=True,
        text=True,
    )
    parameters, sparsity, stored, peak = done.stdout.split()
    assert int(parameters) == layers * size * size
    assert int(stored) > 1.5e9
    assert float(sparsity) == 0.5
    assert int(peak) < 300_000  # kB


def write_big_model(path: Path, layers: int, size: int) -> None:
    """Write a chain of square matrices, half of whose elements are zero, as external data."""
    row = np.tile(np.array([0.5, 0], np.float32), size // 2)
    block = np.tile(row, (256, 1)).tobytes()
    nodes, tensors = [], []
    with (path.parent / "big.data").open("wb") as data:
        for i in range(layers):
            tensor = onnx.TensorProto(name=f"w{i}", data_type=1, dims=[size, size])
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (
                ("location", "big.data"),
                ("offset", data.tell()),
                ("length", size * size * 4),
            ):
                tensor.external_data.add(key=key, value=str(value))
            tensors.append(tensor)
            nodes.append(
                helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"], name=f"fc{i}")
            )
            for _ in range(size // 256):
                data.write(block)
    infos = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", size])
        for name in ("x0", f"x{layers}")
    ]
    made = helper.make_graph(nodes, "g", infos[:1], infos[1:], tensors)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path.write_bytes(model.SerializeToString())
