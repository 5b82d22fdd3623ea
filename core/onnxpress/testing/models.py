"""Small models to test on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model

_HEADER: Final = '<ir_version: 10, opset_import: ["": 21]>'

_CLASSIFIER: Final = """
g (float[N, 3, 16, 16] image) => (float[N, 10] scores) {
    a = Conv <pads = [1, 1, 1, 1]> (image, w1, b1)
    b = Relu (a)
    c = Conv <pads = [1, 1, 1, 1], group = 8> (b, w2, b2)
    d = Relu (c)
    e = Add (b, d)
    f = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (e)
    h = Conv (f, w3)
    i = Relu (h)
    j = GlobalAveragePool (i)
    k = Flatten (j)
    scores = Gemm <transB = 1> (k, w4, b4)
}"""


def model_from_text(text: str, **weights: Array) -> Model:
    """Make a model from ONNX's text format.

    Args:
        text: A graph as `onnx.parser` reads it: ``g (float[N,4] x) => (float[N,2] y)
            { y = MatMul (x, w) }``.  Write the header ``<ir_version: …, opset_import: …>``
            before it to use another opset than 21, or another domain.
        weights: The initializers, by name.
    """
    from onnx import numpy_helper, parser

    from onnxpress.graph.model import Model

    header = "" if text.lstrip().startswith("<") else _HEADER
    proto = parser.parse_model(header + text)
    proto.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in weights.items())
    return Model.from_proto(proto)


def small_classifier(seed: int = 0) -> Model:
    """Make an untrained classifier of 16×16 images in 10 classes, with 602 parameters.

    It has a plain, a depthwise and a 1×1 convolution, a residual sum, pooling and a
    fully connected layer; one input ``image``, one output ``scores``, any batch size.
    """
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> npt.NDArray[np.float32]:
        fan_in = np.prod(shape[1:])
        return rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)

    def zeros(size: int) -> npt.NDArray[np.float32]:
        return np.zeros(size, np.float32)

    return model_from_text(
        _CLASSIFIER,
        w1=normal(8, 3, 3, 3),
        b1=zeros(8),
        w2=normal(8, 1, 3, 3),
        b2=zeros(8),
        w3=normal(16, 8, 1, 1),
        w4=normal(10, 16),
        b4=zeros(10),
    )
