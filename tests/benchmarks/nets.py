"""The networks of `train_step`, in PyTorch, and their export."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # as everybody calls it


class Block(nn.Module):
    """Two convolutions and a shortcut that pads channels, as in CIFAR ResNets."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.extra = stride, (channels - before) // 2

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra))
        return F.relu(y + x)


def resnet20() -> nn.Module:
    """CIFAR ResNet-20 (He et al. 2016, section 4.2)."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for channels in (16, 32, 64):
        for index in range(3):
            layers.append(Block(before, channels, 2 if index == 0 and channels > 16 else 1))
            before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Inverted(nn.Module):
    """Expand, depthwise, project (Sandler et al. 2018)."""

    def __init__(self, before: int, channels: int, stride: int, ratio: int) -> None:
        super().__init__()
        inner = before * ratio
        layers: list[nn.Module] = []
        if ratio > 1:
            layers += [nn.Conv2d(before, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU6()]
        layers += [
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        ]
        self.body = nn.Sequential(*layers)
        self.adds = stride == 1 and before == channels

    def forward(self, x: Any) -> Any:
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet() -> nn.Module:
    """A MobileNetV2-style net for images of 32 x 32."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU6(),
    ]
    before = 16
    for channels, count, stride in ((16, 1, 1), (24, 2, 1), (32, 3, 2), (64, 3, 2)):
        for index in range(count):
            layers.append(Inverted(before, channels, stride if index == 0 else 1, 6))
            before = channels
    head = [nn.Conv2d(64, 256, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU6()]
    return nn.Sequential(*layers, *head, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


def mlp() -> nn.Module:
    """Three layers."""
    return nn.Sequential(
        nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)
    )


class Encoder(nn.Module):
    """One layer of BERT, normalised after each part."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.heads, self.size = heads, width // heads

    def split(self, x: Any) -> Any:
        return x.view(x.shape[0], x.shape[1], self.heads, self.size).transpose(1, 2)

    def forward(self, x: Any) -> Any:
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        p = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(self.size), -1)
        a = (p @ v).transpose(1, 2).reshape(x.shape)
        x = self.norm1(x + self.o(a))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Bert(nn.Module):
    """The body of MiniLM-L6: embeddings, six layers, the mean over tokens, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30522, 384)
        self.places = nn.Parameter(torch.randn(512, 384) * 0.02)
        self.norm = nn.LayerNorm(384)
        self.layers = nn.Sequential(*(Encoder(384, 12, 1536) for _ in range(6)))
        self.head = nn.Linear(384, 10)

    def forward(self, ids: Any) -> Any:
        x = self.norm(self.words(ids) + self.places[: ids.shape[1]])
        return self.head(self.layers(x).mean(1))


class Recurrent(nn.Module):
    """Two LSTM layers and a classifier on the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(64, 128, num_layers=2)
        self.head = nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0][-1])


@dataclass(frozen=True)
class Net:
    """A network, what it is fed, and how its export names the axis of samples.

    Attributes:
        make: Makes the module.
        shape: The shape of its input.
        batch_axis: Which axis counts samples.
        classes: For token ids, how many there are; 0 for floats.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    batch_axis: int = 0
    tokens: int = 0

    def inputs(self, seed: int = 0) -> np.ndarray[Any, Any]:
        rng = np.random.default_rng(seed)
        if self.tokens:
            return rng.integers(0, self.tokens, self.shape)
        return rng.standard_normal(self.shape).astype(np.float32)

    def labels(self, seed: int = 0) -> np.ndarray[Any, Any]:
        return np.random.default_rng(seed + 1).integers(0, 10, self.shape[self.batch_axis])

    def module(self) -> nn.Module:
        """Return the module with the same weights every time.

        No two tensors are equal: the exporter would store them once, and tie the layers.
        """
        torch.manual_seed(0)
        module = self.make()
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                if tensor.dtype.is_floating_point and ("bn" in name or tensor.ndim == 1):
                    tensor.add_(torch.rand_like(tensor) * 0.01)
        return module

    def export(self) -> onnx.ModelProto:
        module, file = self.module().eval(), io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (torch.from_numpy(self.inputs()),),
                file,
                dynamo=False,
                opset_version=17,
                training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=True,
                input_names=["x"],
                output_names=["y"],
                dynamic_axes={"x": {self.batch_axis: "N"}, "y": {0: "N"}},
            )
        return onnx.load_from_string(file.getvalue())


NETS: Final = {
    "mlp": Net(mlp, (128, 784)),
    "resnet20": Net(resnet20, (128, 3, 32, 32)),
    "mobilenet": Net(mobilenet, (64, 3, 32, 32)),
    "transformer": Net(Bert, (8, 128), tokens=30522),
    "lstm": Net(Recurrent, (50, 32, 64), batch_axis=1),
}
