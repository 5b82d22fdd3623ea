"""Small graphs that several tests use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, parser

from onnxpress.graph.model import Model

HEAD: Final = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1, "acme": 1]>'


def graph(text: str, **tensors: Any) -> Model:
    """Make a model of ONNX text without its head, and of arrays for its initializers.

    >>> graph("g (float[N,4] x) => (float[N,2] y) { y = MatMul(x, w) }", w=np.ones((4, 2)))
    """
    return Model.from_proto(proto(text, **tensors))


def proto(text: str, **tensors: Any) -> onnx.ModelProto:
    """Make a protobuf of ONNX text; arrays of doubles become float32, tensors stay as they are."""
    made = parser.parse_model(text if text.lstrip().startswith("<") else f"{HEAD} {text}")
    for name, value in tensors.items():
        made.graph.initializer.append(_tensor(name, value))
    return made


def _tensor(name: str, value: Any) -> onnx.TensorProto:
    if isinstance(value, onnx.TensorProto):
        return value
    array = np.asarray(value)
    return numpy_helper.from_array(
        array.astype(np.float32) if array.dtype == np.float64 else array, name
    )


def normal(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return float32 normal values, the same for the same shape and seed."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


class Builder:
    """Builds an image network node by node; weights are normal values, the same every time."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(7)
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []

    def weight(self, name: str, *shape: int) -> str:
        array = (self._rng.standard_normal(shape) * 0.1).astype(np.float32)
        self._tensors.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv(
        self,
        x: str,
        name: str,
        cin: int,
        cout: int,
        kernel: int = 3,
        stride: int = 1,
        group: int = 1,
    ) -> str:
        """Conv without bias, padded to keep the size, then BatchNormalization."""
        w = self.weight(f"{name}.weight", cout, cin // group, kernel, kernel)
        y = self.node(
            "Conv", [x, w], name, strides=[stride] * 2, pads=[kernel // 2] * 4, group=group
        )
        statistics = [self.weight(f"{name}.bn.{part}", cout) for part in ("s", "b", "m")]
        variance = numpy_helper.from_array(np.ones(cout, np.float32), f"{name}.bn.v")
        self._tensors.append(variance)
        return self.node("BatchNormalization", [y, *statistics, variance.name], f"{name}.bn")

    def head(self, x: str, cin: int, classes: int) -> None:
        """Average over the image, then a Gemm with bias, into ``y``."""
        flat = self.node("Flatten", [self.node("GlobalAveragePool", [x], "pool")], "flat")
        w, b = self.weight("fc.weight", classes, cin), self.weight("fc.bias", classes)
        self.node("Gemm", [flat, w, b], "y", transB=1)

    def model(self, size: int, classes: int) -> onnx.ModelProto:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, size, size])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", classes])
        graph = helper.make_graph(self._nodes, "g", [x], [y], self._tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def resnet20() -> onnx.ModelProto:
    """CIFAR ResNet-20 with projection shortcuts (He et al. 2015, section 4.2, option B)."""
    net = Builder()
    x = net.node("Relu", [net.conv("x", "stem", 3, 16)], "stem.relu")
    width = 16
    for block in range(9):
        cin, width = width, 16 << block // 3
        stride, name = 1 if cin == width else 2, f"block{block}"
        y = net.node("Relu", [net.conv(x, f"{name}.a", cin, width, 3, stride)], f"{name}.a.relu")
        y = net.conv(y, f"{name}.b", width, width)
        if cin != width:
            x = net.conv(x, f"{name}.shortcut", cin, width, 1, stride)
        x = net.node("Relu", [net.node("Add", [x, y], f"{name}.add")], f"{name}.relu")
    net.head(x, 64, 10)
    return net.model(32, 10)


def mobilenet_v1() -> onnx.ModelProto:
    """MobileNetV1 1.0 at 224 × 224 (Howard et al. 2017, table 1)."""
    net = Builder()
    x = net.conv("x", "stem", 3, 32, 3, 2)
    cin = 32
    widths = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    for block, width in enumerate(widths):
        stride = 2 if block in {1, 3, 5, 11} else 1
        x = net.conv(x, f"depthwise{block}", cin, cin, 3, stride, group=cin)
        x = net.conv(x, f"pointwise{block}", cin, width, 1)
        cin = width
    net.head(x, 1024, 1000)
    return net.model(224, 1000)
