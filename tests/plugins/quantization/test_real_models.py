"""A trained network: as accurate, as small and as fast as is promised."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.core.calibration.data import Arrays
from tests.plugins.quantization.running import optimized, quantized

MEAN, STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)


@cache
def pictures(path: Path, count: int) -> tuple[Array, Array]:
    with np.load(path) as arrays:
        images, labels = arrays["x"][:count], arrays["y"][:count]
    scaled = (images.astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)), labels


def calibration(shared: Path, count: int) -> Arrays:
    images, _ = pictures(shared / "data/cifar10_train_20k.npz", count)
    return Arrays(np.array_split(images, count // 32), "input")


def logits(model: Model, images: Array) -> Array:
    session = Session(model)
    parts = np.array_split(images, max(len(images) // 250, 1))
    return np.concatenate([session.run({"input": part})["logits"] for part in parts])


@pytest.mark.parametrize("name", ["resnet20", "resnet20_bn", "resnet20_dynamo"])
def test_every_node_of_a_resnet_has_an_integer_kernel(
    name: str, shared: Path, tmp_path: Path
) -> None:
    model = Model.load(shared / f"models/cifar10_resnet20/{name}.onnx")
    result, job = quantized(model, calibration(shared, 64))
    assert len(job.changed) == 20
    assert job.declined == []
    assert optimized(result, tmp_path) == Counter(
        {"QLinearConv": 19, "QLinearAdd": 9, "Slice": 4, "Transpose": 2, "Pad": 2}
        | {"QuantizeLinear": 1, "QLinearAveragePool": 1, "Reshape": 1, "QGemm": 1}
    )
    images, _ = pictures(shared / "data/cifar10_test.npz", 250)
    same = logits(model, images).argmax(1) == logits(result, images).argmax(1)
    assert same.mean() >= 0.97


def test_the_file_is_small(shared: Path, tmp_path: Path) -> None:
    source = shared / "models/cifar10_resnet20/resnet20.onnx"
    result, _ = quantized(Model.load(source), calibration(shared, 64))
    result.save(tmp_path / "small.onnx")
    assert (tmp_path / "small.onnx").stat().st_size <= 0.31 * source.stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize("method", ["min-max", "percentile"])
def test_accuracy_on_all_test_images(method: str, shared: Path) -> None:
    model = Model.load(shared / "models/cifar10_resnet20/resnet20.onnx")
    result, _ = quantized(model, calibration(shared, 256), calibration=method)
    images, labels = pictures(shared / "data/cifar10_test.npz", 10_000)
    assert (logits(result, images).argmax(1) == labels).mean() >= 0.915
