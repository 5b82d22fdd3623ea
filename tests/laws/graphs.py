"""One small graph for each thing that real files hold, for laws over everything registered.

Every graph runs in ONNX Runtime.  `GRAPHS` is the list; a law takes all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, parser

from onnxpress.graph.model import Model

GRAPHS: Final[dict[str, Callable[[], Model]]] = {}


def graph(build: Callable[[], onnx.ModelProto]) -> Callable[[], Model]:
    """Register a graph under its function's name."""

    def load() -> Model:
        return Model.from_proto(build())

    GRAPHS[build.__name__] = load
    return load


def weights(**shapes: Sequence[int]) -> list[onnx.TensorProto]:
    """Return float32 initializers with normal values, the same for the same names and shapes."""
    rng = np.random.default_rng(7)
    return [
        numpy_helper.from_array((rng.standard_normal(shape) * 0.3).astype(np.float32), name=name)
        for name, shape in shapes.items()
    ]


def model(text: str, initializers: Sequence[onnx.TensorProto] = ()) -> onnx.ModelProto:
    """Parse ONNX text and give it initializers."""
    proto = parser.parse_model(text)
    proto.graph.initializer.extend(initializers)
    return proto


HEAD: Final = '<ir_version: 8, opset_import: ["": 17]>'


@graph
def convolutions() -> onnx.ModelProto:
    return model(
        f"""{HEAD} g (float[N,3,8,8] x) => (float[N,5] y) {{
            c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            r1 = Relu(c1)
            c2 = Conv<pads=[1,1,1,1], group=8>(r1, w2)
            six = Constant<value = float {{6.0}}>()
            zero = Constant<value = float {{0.0}}>()
            r2 = Clip(c2, zero, six)
            p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r2)
            a = GlobalAveragePool(p)
            f = Flatten(a)
            y = Gemm<transB=1>(f, w3, b3)
        }}""",
        weights(w1=(8, 3, 3, 3), b1=(8,), w2=(8, 1, 3, 3), w3=(5, 8), b3=(5,)),
    )


@graph
def residual_with_batch_norm() -> onnx.ModelProto:
    proto = model(
        f"""{HEAD} g (float[N,4,6,6] x) => (float[N,4,6,6] y) {{
            c = Conv<pads=[1,1,1,1]>(x, w)
            n = BatchNormalization(c, s, b, m, v)
            r = Relu(n)
            a = Add(r, x)
            y = Relu(a)
        }}""",
        weights(w=(4, 4, 3, 3), s=(4,), b=(4,), m=(4,)),
    )
    proto.graph.initializer.append(
        numpy_helper.from_array(np.linspace(0.5, 2, 4, dtype=np.float32), "v")
    )
    return proto


@graph
def concatenated_branches() -> onnx.ModelProto:
    return model(
        f"""{HEAD} g (float[N,3,8,8] x) => (float[N,4,8,8] y) {{
            a = Conv(x, w1)
            b = Conv<pads=[1,1,1,1]>(x, w2)
            c = Concat<axis=1>(a, b)
            s = Sigmoid(c)
            m = Mul(c, s)
            y = Conv(m, w3)
        }}""",
        weights(w1=(4, 3, 1, 1), w2=(4, 3, 3, 3), w3=(4, 8, 1, 1)),
    )


@graph
def upsampling_transposed() -> onnx.ModelProto:
    return model(
        f"""{HEAD} g (float[1,4,5,5] x) => (float[1,3,10,10] y) {{
            y = ConvTranspose<strides=[2,2], kernel_shape=[2,2]>(x, w, b)
        }}""",
        weights(w=(4, 3, 2, 2), b=(3,)),
    )


@graph
def attention_block() -> onnx.ModelProto:
    return model(
        f"""{HEAD} g (int64[N,S] ids) => (float[N,S,8] y) {{
            e = Gather(table, ids)
            q = MatMul(e, wq)
            k = MatMul(e, wk)
            kt = Transpose<perm=[0,2,1]>(k)
            s = MatMul(q, kt)
            p = Softmax<axis=-1>(s)
            h = MatMul(p, e)
            o = MatMul(h, wo)
            ob = Add(o, bo)
            r = Add(ob, e)
            y = LayerNormalization(r, g1, g2)
        }}""",
        weights(table=(11, 8), wq=(8, 8), wk=(8, 8), wo=(8, 8), bo=(8,), g1=(8,), g2=(8,)),
    )


@graph
def recurrent() -> onnx.ModelProto:
    return model(
        f"""{HEAD} g (float[S,N,4] x) => (float[S,1,N,6] y) {{
            y, h, c = LSTM<hidden_size=6>(x, w, r, b)
        }}""",
        weights(w=(1, 24, 4), r=(1, 24, 6), b=(1, 48)),
    )


@graph
def weights_behind_transposes_and_constants() -> onnx.ModelProto:
    return model(
        f"""{HEAD} g (float[N,6] x) => (float[N,4] y) {{
            t = Transpose<perm=[1,0]>(w)
            a = MatMul(x, t)
            i = Identity(w2)
            b = Gemm<transA=0, transB=0>(a, i)
            k = Constant<value_floats = [0.5, -0.5, 0.25, 1.0]>()
            y = Add(b, k)
        }}""",
        weights(w=(6, 6), w2=(6, 4)),
    )


@graph
def shared_weight() -> onnx.ModelProto:
    return model(
        f"""{HEAD} g (float[N,6] x) => (float[N,6] y) {{
            a = MatMul(x, w)
            r = Relu(a)
            y = MatMul(r, w)
        }}""",
        weights(w=(6, 6)),
    )


@graph
def branches_of_an_if() -> onnx.ModelProto:
    return model(
        f"""{HEAD} g (float[N,6] x, bool c) => (float[N,6] y) {{
            y = If(c) <
                then_branch = t () => (float[N,6] a) {{ a = MatMul(x, w) }},
                else_branch = e () => (float[N,6] b) {{ b = Relu(x) }}
            >
        }}""",
        weights(w=(6, 6)),
    )


@graph
def model_function() -> onnx.ModelProto:
    return model(
        """<ir_version: 8, opset_import: ["": 17, "local": 1]>
        g (float[N,6] x) => (float[N,6] y) { y = local.dense(x, w) }
        <domain: "local", opset_import: ["": 17]> dense (a, b) => (c) { m = MatMul(a, b)
            c = Relu(m) }""",
        weights(w=(6, 6)),
    )


@graph
def half_precision() -> onnx.ModelProto:
    weight = np.linspace(-1, 1, 36, dtype=np.float16).reshape(6, 6)
    return model(
        f"{HEAD} g (float16[N,6] x) => (float16[N,6] y) {{ y = MatMul(x, w) }}",
        [numpy_helper.from_array(weight, "w")],
    )


@graph
def quantized_already() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        node("DequantizeLinear", ["w", "s", "zw"], ["wd"]),
        node("MatMul", ["xd", "wd"], ["y"]),
    ]
    tensors = {
        "s": np.float32(0.05),
        "z": np.uint8(128),
        "zw": np.int8(0),
        "w": np.arange(-18, 18, dtype=np.int8).reshape(6, 6),
    }
    return helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 6])],
            [numpy_helper.from_array(np.asarray(v), k) for k, v in tensors.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


@graph
def overridable_weight() -> onnx.ModelProto:
    return model(
        f"{HEAD} g (float[N,6] x, float[6,6] w) => (float[N,6] y) {{ y = MatMul(x, w) }}",
        weights(w=(6, 6)),
    )


@graph
def nothing_to_compress() -> onnx.ModelProto:
    return model(f"{HEAD} g (float[N] x) => (float[N] y) {{ y = Exp(x) }}")
