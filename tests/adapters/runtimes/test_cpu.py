from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnxpress_runtimes
from onnxpress import Plugins
from onnxpress.errors import ModelError
from onnxpress.testing import check_runtime
from onnxpress_runtimes import cpu
from onnxpress_runtimes.cpu import Cpu
from tests.core.measure.models import save_dense


def test_it_is_found_as_a_plugin() -> None:
    plugins = Plugins(strict=True)
    plugins.add("runtimes", onnxpress_runtimes)
    assert plugins.find_runtime("cpu") is Cpu


def test_it_keeps_what_every_runtime_promises() -> None:
    assert check_runtime(Cpu).usable


def test_it_runs_a_model_and_names_the_outputs(tmp_path: Path) -> None:
    loaded = Cpu().prepare(save_dense(tmp_path / "m.onnx", inputs=3), threads=1)
    outputs = loaded({"x": np.eye(3, dtype="f")})
    weight = np.random.default_rng(0).standard_normal((3, 4))
    np.testing.assert_allclose(outputs["y"], weight, rtol=1e-6)


def test_details_say_where_and_how_it_ran(tmp_path: Path) -> None:
    details = Cpu().prepare(save_dense(tmp_path / "m.onnx"), threads=2).details
    assert details["provider"] == "CPUExecutionProvider"
    assert details["nodes"] == {"CPUExecutionProvider": 1}
    assert details["intra_op_threads"] == 2


def test_threads_are_those_asked_for(tmp_path: Path) -> None:
    count = (
        "import os, sys; from pathlib import Path; from onnxpress_runtimes.cpu import Cpu; "
        "runtime = Cpu(); before = len(os.listdir('/proc/self/task')); "
        "loaded = runtime.prepare(Path(sys.argv[1]), threads=3); "
        "print(len(os.listdir('/proc/self/task')) - before)"
    )
    if not Path("/proc/self/task").is_dir():
        pytest.skip("needs /proc")
    command = [sys.executable, "-c", count, str(save_dense(tmp_path / "m.onnx"))]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(said.stdout) == 2  # the caller's thread is the third


def test_telemetry_is_off_before_onnxruntime_is_imported() -> None:
    ask = (
        "import os; from onnxpress_runtimes.cpu import Cpu; Cpu(); "
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    said = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True, env=environment
    )
    assert said.stdout.strip() == "1"


def test_asking_whether_it_works_imports_nothing() -> None:
    ask = (
        "import sys; from onnxpress_runtimes import Cpu; "
        "print(Cpu.probe().usable, 'onnxruntime' in sys.modules, 'numpy' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "False", "False"]


def test_without_onnxruntime_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "find_spec", lambda _name: None)
    assert not Cpu.probe().usable
    assert "pip install onnxruntime" in Cpu.probe().reason


def _one_node(
    path: Path,
    op: str,
    *,
    opset: int = 21,
    ir_version: int = 10,
    domain: str = "",
    dtype: int = TensorProto.FLOAT,
) -> Path:
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], name="n1", domain=domain)],
        "g",
        [helper.make_tensor_value_info("x", dtype, [1, 4])],
        [helper.make_tensor_value_info("y", dtype, [1, 4])],
    )
    opsets = {"": 21, domain: opset}
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(d, v) for d, v in opsets.items()],
        ir_version=ir_version,
    )
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"op": "Relu", "opset": 99}, r"its opset 99 is newer .* \(ai.onnx goes up to \d+\)"),
        ({"op": "Relu", "ir_version": 99}, r"its IR version 99 is newer .* \(up to \d+\)"),
        ({"op": "Nope"}, "no operator 'Nope' in opset 21"),
        ({"op": "Spin", "domain": "com.acme", "opset": 1}, "no operator 'com.acme:Spin'"),
        (
            {"op": "Erf", "dtype": TensorProto.INT16},
            r"operator Erf of node 'n1' does not take tensor\(int16\) as its input 'x'",
        ),
        (
            {"op": "Erf", "dtype": TensorProto.DOUBLE},
            r"no kernel here for Erf \(opset 13\) of node 'n1' with its element types",
        ),
    ],
)
def test_refusals_are_explained(tmp_path: Path, node: dict[str, object], said: str) -> None:
    path = _one_node(tmp_path / "m.onnx", **node)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=said):
        Cpu().prepare(path, threads=1)


def test_damaged_files_are_called_so(tmp_path: Path) -> None:
    path = save_dense(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match="it is no ONNX model, or is damaged"):
        Cpu().prepare(path, threads=1)


def test_what_nobody_foresaw_is_quoted_without_noise(tmp_path: Path) -> None:
    path = save_dense(tmp_path / "m.onnx")
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    (tmp_path / "weights").unlink()
    with pytest.raises(ModelError, match="does not load it") as caught:
        Cpu().prepare(path, threads=1)
    assert "weights" in str(caught.value)
    assert "onnxruntime_src" not in str(caught.value)
