from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxpress.graph import zeros
from onnxpress.graph.model import Model
from onnxpress.graph.zeros import count_zeros
from tests.graphs import graph, normal, proto

TEXT = "g (float[N,K] x) => (float[N,M] y) {{ {} y = MatMul(x, u) }}"


def count(nodes: str, **tensors: Any) -> int:
    (layer,) = graph(TEXT.format(nodes), **tensors).layers
    return count_zeros(layer.weight)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_floats(dtype: str) -> None:
    array = normal(30, 40).astype(dtype)
    array.flat[::7] = 0
    array.flat[1::7] = -0.0
    array.flat[2] = np.nan
    array.flat[3] = np.finfo(dtype).smallest_subnormal
    wanted = len(range(0, 1200, 7)) + len(range(1, 1200, 7))
    assert count("u = Cast<to=1>(w)", w=array) == wanted


def test_doubles() -> None:
    tensor = onnx.numpy_helper.from_array(np.array([[0.0, -0.0, 1e-300, 1]]).T, "w")
    assert count("u = Cast<to=1>(w)", w=tensor) == 2


def test_bfloat16() -> None:
    tensor = onnx.helper.make_tensor("w", onnx.TensorProto.BFLOAT16, [4, 1], [0.0, -0.0, 1.5, 2.0])
    assert count("u = Cast<to=1>(w)", w=tensor) == 2


@pytest.mark.parametrize(
    ("zero_point", "nodes", "wanted"),
    [
        (np.uint8(0), "u = DequantizeLinear(w, s, z)", 3),
        (np.uint8(2), "u = DequantizeLinear(w, s, z)", 2),
        (np.array([0, 2], np.uint8), "u = DequantizeLinear<axis=1>(w, c, z)", 2),
        (np.array([0, 2], np.uint8), "u = DequantizeLinear<axis=-1>(w, c, z)", 2),
        (np.array([2, 2], np.uint8), "u = DequantizeLinear<axis=1>(w, c, z)", 2),
        (None, "u = DequantizeLinear(w, s)", 3),
    ],
)
def test_quantized_zeros_are_zero_points(zero_point: Any, nodes: str, wanted: int) -> None:
    tensors = {"z": zero_point} if zero_point is not None else {}
    w = np.array([[0, 0], [2, 1], [3, 2], [1, 0]], np.uint8)
    assert count(nodes, w=w, s=np.float32(0.5), c=normal(2), **tensors) == wanted


def test_zero_points_of_blocks() -> None:
    w = np.array([[1, 5], [0, 5], [7, 9], [7, 7]], np.uint8)
    zero_points = np.array([[1, 5], [7, 9]], np.uint8)
    nodes = "u = DequantizeLinear<axis=0, block_size=2>(w, s, z)"
    assert count(nodes, w=w, s=normal(2, 2), z=zero_points) == 6


def test_four_bits() -> None:
    w = onnx.helper.make_tensor("w", onnx.TensorProto.INT4, [4, 2], [-8, 7, 0, 1, 0, 3, 0, 5])
    assert count("u = DequantizeLinear(w, s)", w=w, s=np.float32(0.5)) == 3


def test_empty() -> None:
    assert count("u = Identity(w)", w=np.zeros((0, 3), np.float32)) == 0


def test_pieces_of_a_mapped_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = normal(100, 90)
    array[:, ::3] = 0
    made = proto(TEXT.format("u = Identity(w)"), w=array)
    onnx.save(made, tmp_path / "m.onnx", save_as_external_data=True, location="d", size_threshold=0)
    monkeypatch.setattr(zeros, "_PIECE", 128)
    monkeypatch.setattr(zeros, "_PAGES", 4096)
    released: list[object] = []
    release = zeros._release

    def watched(mapped: object) -> None:
        released.append(mapped)
        release(mapped)

    monkeypatch.setattr(zeros, "_release", watched)
    (layer,) = Model.load(tmp_path / "m.onnx").layers
    assert count_zeros(layer.weight) == 3000
    assert len(released) >= 8
    assert None not in released
    assert np.array_equal(layer.weight.array(), array)  # what was released can be read again
