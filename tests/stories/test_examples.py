"""docs/examples: the files are run, on little data."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from onnxpress import Model
from onnxpress.events import EpochFinished
from tests.conftest import ROOT

ASSETS = ROOT / "core" / "onnxpress" / "assets"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    return example("train_demo")


def test_the_demo_network_has_the_layers_and_weights_of_the_shipped_one(demo: ModuleType) -> None:
    made, shipped = demo.folded(demo.classifier()), Model.load(ASSETS / "fashion_mnist_cnn.onnx")
    assert made.cost().parameters == pytest.approx(shipped.cost().parameters, abs=20)
    names = {layer.name: layer.weight.shape for layer in made.layers}
    assert names == {layer.name: layer.weight.shape for layer in shipped.layers}
    assert [v.name for v in (*made.inputs, *made.outputs)] == ["image", "scores"]


def test_the_demo_network_learns(
    demo: ModuleType, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = demo.read(shared / "data" / "fashion_mnist.npz")
    x, y = data["x_train"][:768], data["y_train"][:768]
    losses: list[float] = []

    def note(event: object) -> None:
        if isinstance(event, EpochFinished):
            losses.append(event.losses["loss"])

    monkeypatch.setattr(demo, "tell", note)
    trained = demo.train(x, y, epochs=3, seed=0)
    assert len(losses) == 3
    assert losses[-1] < 0.8 * losses[0]
    plain, folded = (demo.accuracy(m, x, y) for m in (trained, demo.folded(trained)))
    assert plain == pytest.approx(folded, abs=0.005)
    assert plain > 0.3


def test_the_same_seed_gives_the_same_demo_network(demo: ModuleType, shared: Path) -> None:
    data = demo.read(shared / "data" / "fashion_mnist.npz")
    x, y = data["x_train"][:128], data["y_train"][:128]
    first, second = (demo.folded(demo.train(x, y, 1, 3)) for _ in range(2))
    for layer, other in zip(first.layers, second.layers, strict=True):
        np.testing.assert_array_equal(layer.weight.array(), other.weight.array())


def test_images_of_the_original_files(demo: ModuleType, tmp_path: Path) -> None:
    import gzip

    images = np.arange(2 * 28 * 28, dtype=np.uint32).astype(np.uint8)
    for part in ("train", "t10k"):
        for kind, header, array in (("images-idx3", 16, images), ("labels-idx1", 8, images[:2])):
            path = tmp_path / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(b"\0" * header + array.tobytes()))
    found = demo.read(tmp_path)
    assert found["x_train"].shape == (2, 28, 28)
    np.testing.assert_array_equal(found["x_test"].reshape(-1), images)
    np.testing.assert_array_equal(found["y_test"], [0, 1])


def test_saved_images_are_the_same_to_the_byte(demo: ModuleType, tmp_path: Path) -> None:
    x, y = np.zeros((3, 28, 28), np.uint8), np.arange(3, dtype=np.uint8)
    save: Callable[..., None] = demo.save_images
    save(tmp_path / "a.npz", x, y)
    save(tmp_path / "b.npz", x, y)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["y"], y)


def test_finetuning_brings_back_some_of_what_pruning_took(tmp_path: Path) -> None:
    run, out = example("finetune").prune_and_finetune, tmp_path / "out.onnx"
    asset, data = ASSETS / "fashion_mnist_cnn.onnx", ASSETS / "fashion_mnist_train.npz"
    result = run(str(asset), str(data), str(out), epochs=3)
    report = result.report.to_dict()
    assert report["before"]["metric"]["value"] > 0.85
    assert report["after"]["sparsity"] == pytest.approx(0.8, abs=0.02)
    details = report["steps"][1]["changed"][0]["details"]
    assert details["loss"] < 0.8 * details["loss at first"]
    assert Model.load(out).cost().parameters == Model.load(asset).cost().parameters
