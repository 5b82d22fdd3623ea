"""Train the classifier that `onnxpress demo` compresses, and write the demo's files.

    pip install onnxpress
    python docs/examples/train_demo.py DATA OUT

DATA is either a .npz file with the arrays x_train, y_train, x_test and y_test
(uint8 images of 28 × 28, labels 0 to 9), or the folder with the four .gz files of
https://github.com/zalandoresearch/fashion-mnist.  OUT receives

    fashion_mnist_cnn.onnx      the trained network, float32, any batch size
    fashion_mnist_train.npz     the first 512 training images, for calibration
    fashion_mnist_test.npz      the first 1,000 test images, which training never saw

No training framework is involved: the network is written down as an ONNX graph, and
onnxpress trains it with ONNX Runtime.  The number of epochs and every other setting
were fixed beforehand; the last weights count, so the test images choose nothing.
The same seed, number of threads and kind of processor give the same file.
"""

from __future__ import annotations

import argparse
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

import onnxpress
from onnxpress.data import open_data
from onnxpress.events import EpochFinished, Event
from onnxpress.graph.fold import fold_affine
from onnxpress.metrics import evaluate, open_metric
from onnxpress.session import Session

Images = npt.NDArray[np.uint8]

EPOCHS = 10
CALIBRATION = 512
TEST = 1000
OPSET = 21


class Network:
    """Writes an ONNX graph node by node; weights are there for their shapes only."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node, and return the name of its result, which is its own."""
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, *shape: int) -> str:
        """Add a tensor to be trained."""
        self._weights.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
        return name

    def conv(self, x: str, name: str, channels: tuple[int, int], size: int, stride: int = 1) -> str:
        """Add a convolution without bias, padded so that only the stride shrinks the image."""
        before, after = channels
        weight = self.weight(f"{name}.weight", after, before, size, size)
        around = {"kernel_shape": [size] * 2, "pads": [size // 2] * 4, "strides": [stride] * 2}
        return self.add("Conv", [x, weight], name, **around)

    def norm(self, x: str, name: str, channels: int) -> str:
        """Add a batch normalisation."""
        parts = ("weight", "bias", "running_mean", "running_var")
        tensors = [self.weight(f"{name}.{part}", channels) for part in parts]
        return self.add("BatchNormalization", [x, *tensors], name)

    def block(self, x: str, name: str, before: int, after: int, stride: int) -> str:
        """Add two convolutions with a residual connection, as in ResNet (He et al. 2015)."""
        y = self.conv(x, f"{name}.conv1", (before, after), 3, stride)
        y = self.add("Relu", [self.norm(y, f"{name}.norm1", after)], f"{name}.relu1")
        y = self.conv(y, f"{name}.conv2", (after, after), 3)
        y = self.norm(y, f"{name}.norm2", after)
        shortcut = self.conv(x, f"{name}.shortcut", (before, after), 1, stride)
        return self.add("Relu", [self.add("Add", [y, shortcut], f"{name}.sum")], f"{name}.relu2")

    def model(self, inputs: dict[str, list[str | int]], outputs: dict[str, list[str | int]]) -> Any:
        """Return the graph as a protobuf; all inputs and outputs are float32."""
        fed, given = (
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in side.items()]
            for side in (inputs, outputs)
        )
        graph = helper.make_graph(self._nodes, "fashion_mnist", fed, given, self._weights)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=10)


def classifier() -> onnxpress.Model:
    """Return a small residual network: 28 × 28 grey pixels from 0 to 1, ten class scores."""
    net = Network()
    x = net.norm(net.conv("image", "stem", (1, 16), 3), "norm", 16)
    x = net.add("Relu", [x], "relu")
    x = net.block(x, "block1", 16, 32, stride=2)
    x = net.block(x, "block2", 32, 64, stride=1)
    x = net.block(x, "block3", 64, 112, stride=2)
    x = net.add("Flatten", [net.add("GlobalAveragePool", [x], "pool")], "flat")
    head = [x, net.weight("head.weight", 10, 112), net.weight("head.bias", 10)]
    net.add("Gemm", head, "scores", transB=1)
    proto = net.model({"image": ["batch", 1, 28, 28]}, {"scores": ["batch", 10]})
    proto.graph.node[-1].name = "head"
    return onnxpress.Model.from_proto(proto)


def main() -> None:
    """Train, write the network and the images, and print the accuracy of the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, help="train on so many images only, to try it")
    asked = parser.parse_args()

    data = read(asked.data)
    x, y, x_test, y_test = (data[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    asked.out.mkdir(parents=True, exist_ok=True)
    few = slice(asked.limit)
    model = train(x[few], y[few], asked.epochs, asked.seed, asked.threads)
    path = asked.out / "fashion_mnist_cnn.onnx"
    folded(model).save(path)
    save_images(asked.out / "fashion_mnist_train.npz", x[:CALIBRATION], y[:CALIBRATION])
    save_images(asked.out / "fashion_mnist_test.npz", x_test[:TEST], y_test[:TEST])

    model = onnxpress.load(path)
    print(f"parameters: {model.cost().parameters:,}")
    print(f"top-1 on all {len(x_test):,} test images: {accuracy(model, x_test, y_test):.4f}")
    print(f"top-1 on the first {TEST:,}: {accuracy(model, x_test[:TEST], y_test[:TEST]):.4f}")


def read(path: Path) -> dict[str, Images]:
    """Read the four arrays from a .npz file or from the folder of the original files."""
    if path.is_file():
        with np.load(path) as file:
            return {name: file[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    return {
        "x_train": read_idx(path / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28),
        "y_train": read_idx(path / "train-labels-idx1-ubyte.gz", 8),
        "x_test": read_idx(path / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28),
        "y_test": read_idx(path / "t10k-labels-idx1-ubyte.gz", 8),
    }


def read_idx(path: Path, header: int) -> Images:
    """Read the bytes behind the header of a file of the MNIST format."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def train(x: Images, y: Images, epochs: int, seed: int, threads: int = 1) -> onnxpress.Model:
    """Train with SGD, a one-cycle learning rate and label smoothing, from scratch."""
    how = {
        "epochs": epochs,
        "batch": 128,
        "optimizer": "sgd:momentum=0.9,nesterov=true,weight-decay=5e-4",
        "lr": 0.2,
        "schedule": "one-cycle",
        "objective": ["cross-entropy:label-smoothing=0.05"],
        "augment": ["flip", "crop:padding=2"],
        "threads": threads,
    }
    data = {"image": x, "labels": y, "scale": 1 / 255}
    steps = [{"use": "train", "train": how}]
    return onnxpress.compress(classifier(), steps, data=data, seed=seed, notify=tell).model


def tell(event: Event) -> None:
    """Print what became of an epoch."""
    if isinstance(event, EpochFinished):
        loss = event.losses["loss"]
        print(f"epoch {event.epoch + 1:2}: loss {loss:.4f}, {event.seconds:.0f} s", flush=True)


def folded(model: onnxpress.Model) -> onnxpress.Model:
    """Return the network with every batch normalisation made part of its convolution."""
    edit = model.edit()
    fold_affine(edit)
    return edit.done()


def save_images(path: Path, x: Images, y: Images) -> None:
    """Write a compressed .npz whose bytes depend on the arrays only."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, array in {"x": x, "y": y}.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array))
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)


def accuracy(model: onnxpress.Model, x: Images, y: Images) -> float:
    """Return the top-1 accuracy of a model, run by ONNX Runtime on the CPU."""
    data = open_data({"image": x, "labels": y, "scale": 1 / 255}, model)
    return evaluate(Session(model).run, data, open_metric("top-1", ["scores"])).value


if __name__ == "__main__":
    main()
