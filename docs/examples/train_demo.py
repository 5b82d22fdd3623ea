"""Train the classifier that `onnxpress demo` compresses, and write the demo's files.

    pip install torch==2.13.0 onnx onnxscript onnxruntime numpy
    python docs/examples/train_demo.py DATA OUT

DATA is either a .npz file with the arrays x_train, y_train, x_test and y_test
(uint8 images of 28 × 28, labels 0 to 9), or the folder with the four .gz files of
https://github.com/zalandoresearch/fashion-mnist.  OUT receives

    fashion_mnist_cnn.onnx      the trained network, float32, any batch size
    fashion_mnist_train.npz     the first 512 training images, for calibration
    fashion_mnist_test.npz      the first 1,000 test images, which training never saw

The number of epochs and every other setting were fixed beforehand; the last weights
count, so the test images choose nothing.  The same seed and kind of processor give
the same file.  It takes about a quarter of an hour on one core.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

Images = npt.NDArray[np.uint8]

BATCH = 128
EPOCHS = 10
CALIBRATION = 512
TEST = 1000


class Block(nn.Module):
    """Two convolutions with a residual connection, as in ResNet (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map N × inputs × H × W to N × outputs × H/stride × W/stride."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Classifier(nn.Module):
    """A small residual network: 28 × 28 grey pixels from 0 to 1, ten class scores."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.block1 = Block(16, 32, stride=2)
        self.block2 = Block(32, 64, stride=1)
        self.block3 = Block(64, 112, stride=2)
        self.head = nn.Linear(112, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Map N × 1 × 28 × 28 to N × 10."""
        x = F.relu(self.norm(self.stem(image)))
        x = self.block3(self.block2(self.block1(x)))
        return self.head(F.avg_pool2d(x, 7).flatten(1))


def main() -> None:
    """Train, export, write the images, and print the accuracy of the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    data = read(asked.data)
    x, y, x_test, y_test = (data[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    asked.out.mkdir(parents=True, exist_ok=True)
    model = train(x, y, asked.epochs, asked.seed)
    path = asked.out / "fashion_mnist_cnn.onnx"
    export(model, path)
    save_images(asked.out / "fashion_mnist_train.npz", x[:CALIBRATION], y[:CALIBRATION])
    save_images(asked.out / "fashion_mnist_test.npz", x_test[:TEST], y_test[:TEST])

    print(f"parameters: {sum(p.numel() for p in model.parameters()):,}")
    print(f"top-1 on all {len(x_test):,} test images: {accuracy(path, x_test, y_test):.4f}")
    print(f"top-1 on the first {TEST:,}: {accuracy(path, x_test[:TEST], y_test[:TEST]):.4f}")


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


def train(x: Images, y: Images, epochs: int, seed: int) -> Classifier:
    """Train with SGD, a one-cycle learning rate and label smoothing, from scratch."""
    random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)
    torch.set_num_threads(1)  # sums do not depend on how many cores there are
    model = Classifier().to(memory_format=torch.channels_last)  # twice as fast on CPUs
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    steps = -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, epochs * steps)
    for epoch in range(1, epochs + 1):
        total, start = 0.0, time.perf_counter()
        for images, labels in batches(x, y):
            loss = F.cross_entropy(model(images), labels, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        took = time.perf_counter() - start
        print(f"epoch {epoch:2}: loss {total / steps:.4f}, {took:.0f} s", flush=True)
    return model.eval()


def batches(x: Images, y: Images) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the training set once, in random order, mirrored and shifted at random."""
    for chosen in torch.randperm(len(x)).split(BATCH):
        images = torch.from_numpy(x[chosen.numpy()]).float().div(255)[:, None]
        mirrored = torch.rand(len(images)) < 0.5
        images[mirrored] = images[mirrored].flip(-1)
        down, right = torch.randint(0, 5, (2,)).tolist()
        images = F.pad(images, (2, 2, 2, 2))[..., down : down + 28, right : right + 28]
        images = images.contiguous(memory_format=torch.channels_last)
        yield images, torch.from_numpy(y[chosen.numpy()]).long()


def export(model: nn.Module, path: Path) -> None:
    """Write the network as one .onnx file with a free batch size."""
    program = torch.onnx.export(
        model.to(memory_format=torch.contiguous_format),
        (torch.zeros(2, 1, 28, 28),),
        input_names=["image"],
        output_names=["scores"],
        dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    graph = program.model_proto
    for node in graph.graph.node:
        del node.metadata_props[:]  # paths of the machine that exported it
        if node.op_type in {"Conv", "Gemm"}:
            node.name = node.input[1].removesuffix(".weight")
    onnx.save(graph, path)


def save_images(path: Path, x: Images, y: Images) -> None:
    """Write a compressed .npz whose bytes depend on the arrays only."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, array in {"x": x, "y": y}.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array))
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)


def accuracy(path: Path, x: Images, y: Images) -> float:
    """Return the top-1 accuracy of the .onnx file, run by ONNX Runtime on the CPU."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    hits = 0
    for start in range(0, len(x), 500):
        images = x[start : start + 500, None].astype(np.float32) / np.float32(255)
        (scores,) = session.run(None, {"image": images})
        hits += int((scores.argmax(1) == y[start : start + 500]).sum())
    return hits / len(x)


if __name__ == "__main__":
    main()
