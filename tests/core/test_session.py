from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from onnxpress.data.random import runnable_feeds
from onnxpress.errors import DataError, ModelError, UnknownNameError
from onnxpress.graph.model import Model
from onnxpress.session import Session, said
from tests.graphs import graph, normal, proto

X = normal(2, 4)


@pytest.fixture(scope="module")
def model() -> Model:
    return graph(
        "g (float[N,4] x) => (float[N,3] y) { a = MatMul(x, w) b = Relu(a) y = Add(b, c) }",
        w=normal(4, 3),
        c=np.ones(3),
    )


def test_run_returns_outputs_by_name(model: Model) -> None:
    session = Session(model)
    for x in (X, normal(5, 4)):
        found = session.run({"x": x})
        assert list(found) == ["y"]
        np.testing.assert_allclose(found["y"], np.maximum(x @ normal(4, 3), 0) + 1, rtol=1e-5)


@pytest.mark.parametrize("optimize", [True, False])
def test_inner_tensors_are_returned_too(model: Model, *, optimize: bool) -> None:
    session = Session(model, outputs=["a", "b", "x", "w", "y", "a"], optimize=optimize)
    assert session.outputs == ("y", "a", "b", "x", "w")
    found = session.run({"x": X})
    np.testing.assert_allclose(found["a"], X @ normal(4, 3), rtol=1e-5)
    np.testing.assert_array_equal(found["b"], np.maximum(found["a"], 0))
    np.testing.assert_array_equal(found["x"], X)
    np.testing.assert_array_equal(found["w"], normal(4, 3))
    assert list(session.run({"x": X}, ["w", "b"])) == ["w", "b"]
    assert list(session.run({"x": X}, ["x"])) == ["x"]
    assert [v.name for v in model.outputs] == ["y"]


def test_an_unknown_inner_tensor(model: Model) -> None:
    with pytest.raises(UnknownNameError, match="there is no tensor called 'bb'; did you mean 'b'"):
        Session(model, outputs=["bb"])


def test_without_optimization_the_graph_runs_as_it_is() -> None:
    wide = graph("g (float[N,4] x) => (float[N,4] y) { a = Add(x, c) y = Sub(a, c) }", c=1e8)
    assert not Session(wide, optimize=False).run({"x": X})["y"].any()


# Feeds.


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "no array for input 'x'; the model needs x"),
        ({"x": X, "z": X}, "no input 'z'; known: x"),
        ({"xx": X}, "no input 'xx'; did you mean 'x'"),
        ({"x": X.astype(np.float64)}, "'x' is float64, but the model takes float32"),
        ({"x": X.astype(np.int64)}, "'x' is int64, but the model takes float32"),
        ({"x": X[0]}, r"'x' has shape \(4,\), but the model takes 2 axes: \['N', 4\]"),
        ({"x": X[:, :3]}, r"'x' has shape \(2, 3\); at axis 1 the model takes 4: \['N', 4\]"),
        ({"x": X.tolist()}, "'x' is a list, not a numpy array"),
    ],
)
def test_wrong_feeds(model: Model, feeds: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Session(model).run(feeds)


@pytest.mark.parametrize("kind", ["float16", "int8", "uint16", "bool", "int64", "str", "object"])
def test_feeds_of_every_type(kind: str) -> None:
    array = np.array(["a", "b"], kind) if kind in {"str", "object"} else np.ones(2, kind)
    stored = np.array(["a"], object) if kind in {"str", "object"} else array
    number = helper.np_dtype_to_tensor_dtype(numpy_dtype(stored))
    name = TensorProto.DataType.Name(number).lower()
    echo = graph(f"g ({name}[2] x) => ({name}[2] y) {{ y = Identity(x) }}")
    assert echo.run({"x": array})["y"].tolist() == array.tolist()


def numpy_dtype(array: np.ndarray) -> np.dtype:
    return np.dtype(object) if array.dtype == object else array.dtype


def test_a_scalar_may_be_a_number_of_numpy() -> None:
    echo = graph("g (float x) => (float y) { y = Identity(x) }")
    assert echo.run({"x": np.float32(3)})["y"] == 3  # type: ignore[dict-item]


def test_an_overridable_initializer_may_be_fed() -> None:
    text = "g (float[2] x, float[2] w) => (float[2] y) { y = Add(x, w) }"
    session = Session(graph(text, w=np.ones(2)))
    one = np.ones(2, np.float32)
    assert session.run({"x": one})["y"].tolist() == [2, 2]
    assert session.run({"x": one, "w": 5 * one})["y"].tolist() == [6, 6]
    with pytest.raises(DataError, match="'w' is float64"):
        session.run({"x": one, "w": np.ones(2)})


# What ONNX Runtime says.


def test_a_model_that_onnx_runtime_does_not_load() -> None:
    custom = graph("g (float[2] x) => (float[2] y) { y = acme.Magic(x) }")
    with pytest.raises(ModelError, match=r"ONNX Runtime does not load the model: .*acme") as caught:
        Session(custom)
    assert "ONNXRuntimeError" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_fails_when_it_runs() -> None:
    wrong = graph("g (float[N] x, float[M] z) => (float[K] y) { y = Add(x, z) }")
    with pytest.raises(ModelError, match="ONNX Runtime fails to run the model: ") as caught:
        Session(wrong).run({"x": normal(2), "z": normal(3)})
    assert "/onnxruntime" not in str(caught.value)
    assert "Add" in str(caught.value)


def test_what_it_says_is_cut_to_the_point() -> None:
    text = (
        "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned.\nStatus Message: "
        "/onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:560 void "
        "onnxruntime::BroadcastIterator::Append(ptrdiff_t, ptrdiff_t) axis == 1 was false."
    )
    assert said(RuntimeError(text)) == (
        "Non-zero status code returned. Status Message: axis == 1 was false."
    )
    assert len(said(RuntimeError("word " * 1000))) < 510


QUIET = """
import sys
import numpy as np
from onnxpress.errors import ModelError
from onnxpress.graph.model import Model
model = Model.load(sys.argv[1])
try:
    model.run({"x": np.ones(2, np.float32), "z": np.ones(3, np.float32)})
except ModelError:
    pass
import os
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
"""


def test_nothing_is_printed_and_telemetry_is_off(tmp_path: Path) -> None:
    made = proto("g (float[N] x, float[M] z) => (float[5] y) { y = Add(x, z) }", unused=normal(3))
    onnx.save(made, tmp_path / "a.onnx")
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(tmp_path / "a.onnx")],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.slow
def test_real_models_give_what_their_files_give(shared: Path) -> None:
    for name in ("cifar10_resnet20/resnet20.onnx", "silero_vad/silero_vad.onnx",
                 "yolox_nano/yolox_nano.onnx", "stories260k/stories260k.onnx"):  # fmt: skip
        path = shared / "models" / name
        model = Model.load(path)
        feeds = runnable_feeds(model)
        options = ort.SessionOptions()
        options.log_severity_level = 4
        expected = ort.InferenceSession(str(path), options, ["CPUExecutionProvider"]).run(
            None, feeds
        )
        found = Session(model).run(feeds)
        for old, new in zip(expected, found.values(), strict=True):
            np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-4)
