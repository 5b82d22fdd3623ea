from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxpress.graph.model import Model
from onnxpress.graph.size import bytes_in_memory, bytes_stored, files, serialized_bytes
from tests.graphs import graph, normal, proto, resnet20

TEXT = "g (float[N,64] x) => (float[N,32] y) { a = MatMul(x, w) y = Add(a, b) }"


@pytest.fixture
def model() -> Model:
    return graph(TEXT, w=normal(64, 32), b=normal(32))


def test_in_memory(model: Model) -> None:
    assert bytes_in_memory(model.ir) == (64 * 32 + 32) * 4


@pytest.mark.parametrize("wide", [30, 40, 1000, 4000])
def test_the_estimate_is_what_saving_writes(tmp_path: Path, wide: int) -> None:
    model = graph(TEXT, w=normal(64, wide), b=normal(wide))
    model.save(tmp_path / "m.onnx")
    written = (tmp_path / "m.onnx").stat().st_size
    assert abs(serialized_bytes(model.ir) - written) <= 4  # the length of the graph's own length
    assert bytes_stored(model) == serialized_bytes(model.ir)


def test_the_estimate_of_a_network(tmp_path: Path) -> None:
    model = Model.from_proto(resnet20())
    model.save(tmp_path / "m.onnx")
    assert abs(serialized_bytes(model.ir) - (tmp_path / "m.onnx").stat().st_size) <= 4


def test_a_loaded_model_is_as_big_as_its_files(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    made = proto(TEXT, w=normal(64, 32), b=normal(32))
    onnx.save(made, path, save_as_external_data=True, location="m.data", size_threshold=0)
    model = Model.load(path)
    assert [file.name for file in files(model)] == ["m.onnx", "m.data"]
    sizes = [(tmp_path / name).stat().st_size for name in ("m.onnx", "m.data")]
    assert bytes_stored(model) == sum(sizes)
    assert bytes_in_memory(model.ir) == (64 * 32 + 32) * 4


def test_an_edited_model_is_as_big_as_it_will_be(tmp_path: Path, model: Model) -> None:
    model.save(tmp_path / "m.onnx")
    edit = Model.load(tmp_path / "m.onnx").edit()
    edit.set_weight(edit.layers[0].weight, np.zeros((64, 32), np.float16))
    assert bytes_stored(edit.done()) < (tmp_path / "m.onnx").stat().st_size - 4000
