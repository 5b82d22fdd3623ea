"""For every rule of the table ``upgrade``, graphs as they were written before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper, parser

from onnxpress.data.batch import Array


@dataclass(frozen=True)
class Case:
    """A graph that computes `outputs` from `feeds` and `stored`."""

    body: str
    opset: int
    feeds: Mapping[str, Array]
    stored: Mapping[str, Array] = field(default_factory=dict)
    outputs: Sequence[str] = ("float[] y",)

    def model(self) -> onnx.ModelProto:
        inputs = ", ".join(f"{_type(array)} {name}" for name, array in self.feeds.items())
        proto = parser.parse_model(
            f'<ir_version: 8, opset_import: ["": {self.opset}]> '
            f"g ({inputs}) => ({', '.join(self.outputs)}) {{ {self.body} }}"
        )
        proto.graph.initializer.extend(
            numpy_helper.from_array(array, name) for name, array in self.stored.items()
        )
        return proto

    def in_branch(self) -> onnx.ModelProto:
        """Return the same computation as one branch of an If."""
        proto = self.model()
        names = [output.name for output in proto.graph.output]
        branch = onnx.GraphProto(name="branch", node=proto.graph.node, output=proto.graph.output)
        choice = helper.make_node(
            "If", ["yes"], [f"{n}_out" for n in names], then_branch=branch, else_branch=branch
        )
        del proto.graph.node[:]
        proto.graph.node.append(choice)
        proto.graph.initializer.append(helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [1]))
        for output in proto.graph.output:
            output.name += "_out"
        return proto

    def in_function(self) -> onnx.ModelProto:
        """Return the same computation as a function; there, no types are known."""
        proto = self.model()
        inputs = [*self.feeds, *self.stored]
        outputs = [output.name for output in proto.graph.output]
        function = helper.make_function(
            "local", "f", inputs, outputs, list(proto.graph.node), proto.opset_import
        )
        del proto.graph.node[:]
        proto.graph.node.append(helper.make_node("f", inputs, outputs, domain="local"))
        proto.opset_import.append(helper.make_opsetid("local", 1))
        proto.functions.append(function)
        return proto


def _type(array: Array) -> str:
    kind = onnx.TensorProto.DataType.Name(helper.np_dtype_to_tensor_dtype(array.dtype))
    return f"{kind.lower()}{list(array.shape)}".replace(" ", "")


def _floats(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _f32(*numbers: float) -> Array:
    return np.array(numbers, np.float32)


X: Final = {"x": _floats(2, 4, 5, 6)}
X16: Final = {"x": X["x"].astype(np.float16)}
IMAGE: Final = {"x": _floats(1, 2, 5, 7)}
FOUR: Final = {"s": _f32(1, 2, 3, 4), "b": _f32(0, 1, 0, -1), "v": _f32(1, 2, 0.5, 4)}
SQUARE: Final = {"x": _floats(3, 4)}
_SCALES: Final = {"s": _f32(1, 1, 1.5, 2.3)}
_EXTENTS: Final = {"x": _floats(1, 2, 8, 8), "r": _f32(0, 0, 6, 6, 1, 2, 7, 5).reshape(2, 4),
                   "i": np.array([0, 0])}  # fmt: skip

CASES: Final[dict[tuple[str, int], list[Case]]] = {
    ("BatchNormalization", 9): [
        Case("y = BatchNormalization<spatial=1>(x, s, b, b, v)", 7, X, FOUR),
        Case("y = BatchNormalization<epsilon=0.01>(x, s, b, b, v)", 8, X, FOUR),
        Case("y = BatchNormalization<spatial=0>(x, s, s, s, v)", 7, X,
             {"s": _floats(4, 5, 6), "v": np.abs(_floats(4, 5, 6))}),
    ],
    ("BatchNormalization", 14): [
        Case("y = BatchNormalization(x, s, b, b, v)", 13, X, FOUR),
        Case("y, m1, v1, m2, v2 = BatchNormalization<momentum=0.8>(x, s, b, b, v)", 13, X, FOUR,
             ("float[] y", "float[] m1", "float[] v1")),
        Case("y, m1, v1, m2, v2 = BatchNormalization(x, s, b, b, v)", 9, X, FOUR),
    ],
    ("MeanVarianceNormalization", 9): [
        Case("y = MeanVarianceNormalization(x)", 8, X),
        Case("y = MeanVarianceNormalization<across_channels=1>(x)", 8, X),
        Case("y = MeanVarianceNormalization<across_channels=1, normalize_variance=0>(x)", 7, X),
        Case("y = MeanVarianceNormalization<across_channels=0, normalize_variance=0>(x)", 7, X),
    ],
    ("Upsample", 9): [Case("y = Upsample<scales=[1.0, 1.0, 2.0, 3.0]>(x)", 7, IMAGE)],
    ("Upsample", 11): [
        Case("y = Upsample(x, s)", 9, IMAGE, _SCALES),
        Case('y = Upsample<mode="linear">(x, s)', 9, IMAGE, _SCALES),
        Case('y = Upsample<mode="linear", scales=[1.0, 1.0, 2.0, 1.5]>(x)', 8, IMAGE),
        Case("y = Upsample(x, s)", 9, {**IMAGE, **_SCALES}),
    ],
    ("Resize", 11): [
        Case("y = Resize(x, s)", 10, IMAGE, _SCALES),
        Case("y = Resize(x, s)", 10, IMAGE, {"s": _f32(1, 1, 0.6, 0.4)}),
        Case("y = Resize(x, s)", 10, IMAGE, {"s": _f32(1, 1, 0.6, 1.7)}),
        Case("y = Resize(x, s)", 10, {**IMAGE, "s": _f32(1, 1, 2.6, 0.7)}),
        Case('y = Resize<mode="linear">(x, s)', 10, IMAGE, {"s": _f32(1, 1, 0.6, 1.7)}),
    ],
    ("Resize", 13): [
        Case('y = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn", '
             'nearest_mode="floor">(x, r, s)', 11, IMAGE, {"r": _f32(), "s": _f32(1, 1, 0.6, 1.7)}),
        Case('y = Resize<mode="linear">(x, r, s, n)', 11, IMAGE,
             {"r": _f32(), "s": _f32(), "n": np.array([1, 2, 7, 3])}),
        Case('y = Resize<mode="cubic", coordinate_transformation_mode="align_corners">(x, r, s)',
             11, IMAGE, {"r": _f32(), "s": _f32(1, 1, 2, 2)}),
    ],
    ("Slice", 10): [
        Case("y = Slice<starts=[1, -3], ends=[3, 1000], axes=[1, 3]>(x)", 7, X),
        Case("y = Slice<starts=[0, 1], ends=[1, -1]>(x)", 9, X),
    ],
    ("TopK", 10): [Case("y, i = TopK<k=2, axis=1>(x)", 9, X, {}, ("float[] y", "int64[] i"))],
    ("Dropout", 12): [
        Case("y = Dropout<ratio=0.3>(x)", 7, X),
        Case("y = Dropout(x)", 10, X),
        Case("d, m = Dropout(x) y = Relu(d)", 9, X),
    ],
    ("Clip", 11): [
        Case("y = Clip<min=-0.5, max=0.25>(x)", 6 + 1, X),
        Case("y = Clip<max=0.25>(x)", 10, X),
        Case("y = Clip<min=0.0>(x)", 10, X),
        Case("y = Clip(x)", 10, X),
        Case("y = Clip<min=-0.5, max=100000.0>(x)", 10, X16, {}, ("float16[] y",)),
    ],
    ("Pad", 11): [
        Case("y = Pad<pads=[0, 1, 0, 2, 0, 0, 3, -1]>(x)", 7, X),
        Case("y = Pad<pads=[0, 0, 1, 1, 0, 0, 1, 1], value=1.5>(x)", 10, X),
        Case('y = Pad<pads=[0, 0, 1, 1, 0, 0, 1, 2], mode="reflect">(x)', 10, X),
        Case('y = Pad<pads=[0, 0, 1, 1, 0, 0, 1, 2], mode="edge">(x)', 10, X),
    ],
    ("Scatter", 11): [
        Case("y = Scatter<axis=1>(x, i, u)", 9, SQUARE,
             {"i": np.array([[0, 2]]), "u": _f32(7, 8).reshape(1, 2)}),
    ],
    **{
        (op, 13): [
            Case(f"y = {op}(x)", 12, X),
            Case(f"y = {op}<axis=3>(x)", 11, X),
            Case(f"y = {op}<axis=-1>(x)", 11, X),
            Case(f"y = {op}<axis=-3>(x)", 12, X),
            Case(f"y = {op}<axis=0>(x)", 7, X),
            Case(f"p = GlobalAveragePool(x) y = {op}(p)", 9, X),
        ]
        for op in ("Softmax", "LogSoftmax", "Hardmax")
    },
    ("Split", 13): [
        Case("y, z = Split<axis=1, split=[1, 3]>(x)", 7, X, {}, ("float[] y", "float[] z")),
        Case("y, z = Split<axis=-1>(x)", 12, X, {}, ("float[] y", "float[] z")),
    ],
    ("Split", 18): [Case("y, z = Split<axis=1>(x)", 13, X, {}, ("float[] y", "float[] z"))],
    ("Squeeze", 13): [
        Case("p = GlobalMaxPool(x) y = Squeeze<axes=[2, 3]>(p)", 7, X),
        Case("p = GlobalMaxPool(x) y = Squeeze(p)", 12, X),
        Case("p = GlobalMaxPool(x) y = Squeeze<axes=[-1]>(p)", 12, X),
    ],
    ("Unsqueeze", 13): [Case("y = Unsqueeze<axes=[0, 4]>(x)", 7, X)],
    **{
        (op, since): [
            Case(f"a = Abs(x) y = {op}<axes=[1, -1], keepdims=0>(a)", 11, X),
            Case(f"a = Abs(x) y = {op}<axes=[2]>(a)", 7, X),
            Case(f"a = Abs(x) y = {op}(a)", since - 1, X),
        ]
        for op, since in {
            "ReduceSum": 13,
            **dict.fromkeys(
                ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
                 "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare"), 18),
        }.items()
    },
    ("RoiAlign", 16): [
        Case("y = RoiAlign<output_height=3, output_width=2, sampling_ratio=2>(x, r, i)", 10,
             _EXTENTS),
    ],
    ("GridSample", 20): [
        Case(f'y = GridSample<mode="{mode}", align_corners=1>(x, g)', 16, IMAGE,
             {"g": np.tanh(_floats(1, 3, 4, 2))})
        for mode in ("bilinear", "bicubic", "nearest")
    ] + [Case("y = GridSample(x, g)", 19, IMAGE, {"g": np.tanh(_floats(1, 3, 4, 2))})],
    ("DFT", 20): [
        Case("y = DFT(x)", 17, {"x": _floats(2, 8, 3, 1)}),
        Case("y = DFT<axis=2, inverse=1>(x)", 18, {"x": _floats(2, 8, 3, 2)}),
        Case("y = DFT<onesided=1>(x, n)", 19, {"x": _floats(2, 8, 1)}, {"n": np.array(6)}),
    ],
    ("GroupNormalization", 21): [
        Case("y = GroupNormalization<num_groups=2, epsilon=0.01>(x, s, b)", 18, X,
             {"s": _f32(2, 3), "b": _f32(-1, 1)}),
    ],
    ("ImageScaler", 10): [
        Case("y = ImageScaler<scale=2.0, bias=[0.5, 1.0]>(x)", 7, IMAGE),
    ],
    ("Affine", 10): [Case("y = Affine<alpha=2.0, beta=1.0>(x)", 9, X)],
    ("Scale", 10): [Case("y = Scale<scale=2.0>(x)", 8, X)],
    ("ScaledTanh", 10): [Case("y = ScaledTanh<alpha=2.0, beta=0.5>(x)", 7, X)],
    ("ParametricSoftplus", 10): [Case("y = ParametricSoftplus<alpha=2.0, beta=0.5>(x)", 7, X)],
    ("Crop", 10): [
        Case("y = Crop<border=[1, 1, 2, 0]>(x)", 7, X),
        Case("y = Crop<border=[0, 2, 0, 1]>(x)", 7, X),
        Case("y = Crop<border=[1, 1, 0, 0], scale=[2, 3]>(x)", 9, X),
    ],
    ("DynamicSlice", 10): [
        Case("y = DynamicSlice(x, a, b, c)", 7, X,
             {"a": np.array([1]), "b": np.array([3]), "c": np.array([2])}),
    ],
}  # fmt: skip
"""By operator and the version from which it is written anew."""

REFUSED: Final = {
    ("Scan", 9): Case(
        "y, z = Scan<num_scan_inputs=1, body=b (float[3] s, float[3] e) => (float[3] t, float[3] o)"
        "{ t = Add(s, e) o = Identity(t) }>(, s0, x)",
        8, {"s0": _floats(2, 3), "x": _floats(2, 5, 3)}, {}, ("float[] y", "float[] z")),
    ("BatchNormalization", 14): Case(
        "y, m1, v1, m2, v2 = BatchNormalization(x, s, b, b, v)", 9, X, FOUR,
        ("float[] y", "float[] m2")),
    ("Dropout", 12): Case("y, m = Dropout(x)", 10, X, {}, ("float[] y", "bool[] m")),
    ("Resize", 13): Case(
        'y = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="ceil">'
        "(x, r, s)", 11, IMAGE, {"r": _f32(), "s": _f32(1, 1, 2, 2)}),
}  # fmt: skip
"""What has no exact form at the working opset."""
