"""Models run in double precision, where ONNX Runtime has no kernels: for differences.

ONNX's reference evaluator does it, with convolutions by PyTorch and pooling and resizing by
array operations, because its own are loops in Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
import onnx_ir as ir
from numpy.lib.stride_tricks import sliding_window_view
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model

_NARROW: Final = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


class InDouble:
    """A model whose floats are all doubles; weights can be given with every run."""

    def __init__(self, model: Model) -> None:
        proto = ir.to_proto(model.ir)
        _widen(proto.graph)
        self._outputs = [value.name for value in proto.graph.output]
        self._run = ReferenceEvaluator(proto, new_ops=OPERATORS)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; floats may have any width."""
        wide = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in feeds.items()}
        results = self._run.run(self._outputs, wide)
        return dict(zip(self._outputs, results, strict=True))


def _widen(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in _NARROW:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in {"to", "dtype"} and attribute.i in _NARROW:
                attribute.i = onnx.TensorProto.DOUBLE
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen_tensor(attribute.t)
            if attribute.type == onnx.AttributeProto.GRAPH:
                _widen(attribute.g)


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in _NARROW:
        wide = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


class Conv(OpRun):  # type: ignore[misc]
    """By PyTorch."""

    op_domain = ""

    def _run(self, x: Array, w: Array, b: Array | None = None, **given: Any) -> tuple[Array]:
        import torch

        number = x.ndim - 2
        strides, dilations = (given.get(k) or [1] * number for k in ("strides", "dilations"))
        pads = _pads(x.shape[2:], w.shape[2:], strides, dilations, given)
        padded = torch.from_numpy(np.pad(x, [(0, 0), (0, 0), *pads]))
        bias = None if b is None else torch.from_numpy(b)
        apply = (torch.conv1d, torch.conv2d, torch.conv3d)[number - 1]
        y = apply(
            padded, torch.from_numpy(w.copy()), bias, strides, 0, dilations, given.get("group") or 1
        )
        return (y.numpy(),)


class ConvTranspose(OpRun):  # type: ignore[misc]
    """By PyTorch, cut at the ends afterwards."""

    op_domain = ""

    def _run(self, x: Array, w: Array, b: Array | None = None, **given: Any) -> tuple[Array]:
        import torch

        number = x.ndim - 2
        strides, dilations = (given.get(k) or [1] * number for k in ("strides", "dilations"))
        extra, pads = given.get("output_padding") or [0] * number, given.get("pads")
        if (given.get("auto_pad") or "NOTSET") != "NOTSET" or given.get("output_shape"):
            raise NotImplementedError("ConvTranspose with auto_pad or output_shape")
        bias = None if b is None else torch.from_numpy(b)
        apply = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)[number - 1]
        y = apply(
            torch.from_numpy(x.copy()), torch.from_numpy(w.copy()), bias, strides, 0, extra,
            given.get("group") or 1, dilations,
        ).numpy()  # fmt: skip
        for axis, (low, high) in enumerate(zip(pads[:number], pads[number:], strict=True) if pads else (), 2):
            y = np.moveaxis(np.moveaxis(y, axis, 0)[low : y.shape[axis] - high], 0, axis)
        return (y,)


class MaxPool(OpRun):  # type: ignore[misc]
    """By views of the windows."""

    op_domain = ""

    def _run(self, x: Array, **given: Any) -> tuple[Array]:
        windows = _windows(x, -np.inf, given)
        return (windows.max(tuple(range(x.ndim, windows.ndim))),)


class AveragePool(OpRun):  # type: ignore[misc]
    """By views of the windows."""

    op_domain = ""

    def _run(self, x: Array, **given: Any) -> tuple[Array]:
        windows = _windows(x, np.nan, given)
        over = tuple(range(x.ndim, windows.ndim))
        outside = np.isnan(windows)
        count = windows[0, 0].size if given.get("count_include_pad") else None
        if count is not None:
            return (np.nansum(windows, over) / np.prod(given["kernel_shape"]),)
        return (np.nansum(windows, over) / (~outside).sum(over),)


class Resize(OpRun):  # type: ignore[misc]
    """One product with a matrix for each axis; ONNX Runtime says what the matrix is."""

    op_domain = ""

    def _run(self, x: Array, *inputs: Array | None, **given: Any) -> tuple[Array]:
        _, scales, lengths = (*inputs, None, None, None)[:3]
        axes = given.pop("axes", None) or range(x.ndim)
        for index, axis in enumerate(axes):
            scale = None if scales is None or not scales.size else float(scales[index])
            length = None if scale is not None or lengths is None else int(lengths[index])
            if scale != 1 and length != x.shape[axis]:
                matrix = _resizing(x.shape[axis], scale, length, given)
                x = np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
        return (x,)


OPERATORS: Final = [Conv, ConvTranspose, MaxPool, AveragePool, Resize]


def _resizing(
    size: int, scale: float | None, length: int | None, given: Mapping[str, Any]
) -> Array:
    """Return what an axis is multiplied with: identity, resized along one axis."""
    import onnxruntime

    known = {k: v for k, v in given.items() if v is not None and k != "keep_aspect_ratio_policy"}
    tensors = {"s": np.array([scale or 1, 1], np.float32)} if scale else {
        "n": np.array([length, size], np.int64)}  # fmt: skip
    node = helper.make_node(
        "Resize", ["x", "", "s"] if scale else ["x", "", "", "n"], ["y"], **known
    )
    float_ = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", float_, [size, size])],
        [helper.make_tensor_value_info("y", float_, None)],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    result: Array = session.run(None, {"x": np.eye(size, dtype=np.float32)})[0]
    return result.astype(np.float64)


def _windows(x: Array, fill: float, given: Mapping[str, Any]) -> Array:
    """Return what every window sees, its axes last."""
    kernel, number = given["kernel_shape"], x.ndim - 2
    strides, dilations = (given.get(k) or [1] * number for k in ("strides", "dilations"))
    pads = _pads(x.shape[2:], kernel, strides, dilations, given)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    if given.get("ceil_mode"):
        pads = [
            (low, high + -(size + low + high - r) % s)
            for (low, high), size, r, s in zip(pads, x.shape[2:], reach, strides, strict=True)
        ]
    padded = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    seen = sliding_window_view(padded, reach, tuple(range(2, x.ndim)))  # type: ignore[call-overload]
    every = (slice(None), slice(None))
    result: Array = seen[
        (
            *every,
            *(slice(None, None, s) for s in strides),
            *(slice(None, None, d) for d in dilations),
        )
    ]
    return result


def _pads(
    sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int],
    dilations: Sequence[int], given: Mapping[str, Any],
) -> list[tuple[int, int]]:  # fmt: skip
    """Return how much is added at both ends of each axis."""
    auto, pads = given.get("auto_pad") or "NOTSET", given.get("pads")
    if auto.startswith("SAME"):
        found = []
        for size, k, s, d in zip(sizes, kernel, strides, dilations, strict=True):
            total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
            low = total // 2 if auto == "SAME_UPPER" else total - total // 2
            found.append((low, total - low))
        return found
    if auto == "VALID" or not pads:
        return [(0, 0)] * len(sizes)
    return list(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))
