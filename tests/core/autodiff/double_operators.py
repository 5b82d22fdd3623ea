"""Operators of ONNX's reference evaluator that are faster, or take more, than its own.

Convolutions are PyTorch's; pooling and resizing are array operations.  The evaluator finds an
operator by the name of its class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import helper, numpy_helper
from onnx.reference.op_run import OpRun

from onnxpress.data.batch import Array

_LARGE: Final = 2**28  # elements, above which copies for a convolution are too large


class Conv(OpRun):
    """By PyTorch."""

    op_domain = ""

    def _run(self, x: Array, w: Array, b: Array | None = None, **given: Any) -> tuple[Array]:
        import torch

        number = x.ndim - 2
        strides, dilations = (given.get(k) or [1] * number for k in ("strides", "dilations"))
        pads = _pads(x.shape[2:], w.shape[2:], strides, dilations, given)
        padded = torch.from_numpy(np.pad(x, [(0, 0), (0, 0), *pads]))
        weight, bias = torch.from_numpy(w.copy()), None if b is None else torch.from_numpy(b)
        group = given.get("group") or 1
        if group == 1 and {*strides, *dilations} == {1} and w[0].size * x[0, 0].size > _LARGE:
            return (_by_places(padded, weight, bias).numpy(),)
        apply = (torch.conv1d, torch.conv2d, torch.conv3d)[number - 1]
        return (apply(padded, weight, bias, strides, 0, dilations, group).numpy(),)


def _by_places(x: Any, w: Any, b: Any) -> Any:
    """Convolve one place of the kernel after the other: PyTorch copies the input for each."""
    sizes = [n - k + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
    total = 0 if b is None else b.reshape(-1, *(1 for _ in sizes))
    for place in np.ndindex(*w.shape[2:]):
        seen = x[(..., *(slice(i, i + n) for i, n in zip(place, sizes, strict=True)))]
        mixed = w[(..., *place)] @ seen.reshape(*seen.shape[:2], -1)
        total = total + mixed.reshape(len(x), -1, *sizes)
    return total


class ConvTranspose(OpRun):
    """By PyTorch, cut at the ends afterwards."""

    op_domain = ""

    def _run(self, x: Array, w: Array, b: Array | None = None, **given: Any) -> tuple[Array]:
        import torch

        number = x.ndim - 2
        strides, dilations = (given.get(k) or [1] * number for k in ("strides", "dilations"))
        extra = list(given.get("output_padding") or [0] * number)
        for axis, wanted in enumerate(given.get("output_shape") or ()):
            reach = (w.shape[2 + axis] - 1) * dilations[axis] + 1
            full = (x.shape[2 + axis] - 1) * strides[axis] + reach
            extra[axis] = max(extra[axis], wanted - full)
        bias = None if b is None else torch.from_numpy(b)
        apply = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)[number - 1]
        y = apply(
            torch.from_numpy(x.copy()), torch.from_numpy(w.copy()), bias, strides, 0, extra,
            given.get("group") or 1, dilations,
        ).numpy()  # fmt: skip
        ends = _cuts(x.shape[2:], y.shape[2:], strides, given)
        return (y[(slice(None), slice(None), *(slice(*end) for end in ends))],)


class MaxPool(OpRun):
    """By views of the windows."""

    op_domain = ""

    def _run(self, x: Array, **given: Any) -> tuple[Array, ...]:
        seen, places = (
            windows.reshape(*windows.shape[: x.ndim], -1)
            for windows in (
                _windows(x, -np.inf, given),
                _windows(np.arange(x.size).reshape(x.shape), -1, given),
            )
        )
        first = seen.argmax(-1, keepdims=True)
        found = [np.take_along_axis(array, first, -1)[..., 0] for array in (seen, places)]
        return tuple(found[: len(self.onnx_node.output)])


class AveragePool(OpRun):
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


class Pad(OpRun):
    """Negative pads cut; numpy has none."""

    op_domain = ""

    def _run(
        self, x: Array, pads: Array, value: Array | None = None, axes: Array | None = None,
        mode: Any = None,
    ) -> tuple[Array]:  # fmt: skip
        both = np.zeros((x.ndim, 2), np.int64)
        both[list(range(x.ndim)) if axes is None else axes.tolist()] = pads.reshape(2, -1).T
        ends = [
            (-min(low, 0), size + min(high, 0))
            for (low, high), size in zip(both, x.shape, strict=True)
        ]
        cut, wide = x[tuple(slice(*end) for end in ends)], np.maximum(both, 0)
        if (mode or "constant") == "constant":
            return (np.pad(cut, wide, constant_values=0 if value is None else value.item()),)
        return (np.pad(cut, wide, mode=mode),)


class Resize(OpRun):
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


OPERATORS: Final = [Conv, ConvTranspose, MaxPool, AveragePool, Pad, Resize]


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


def _cuts(
    before: Sequence[int], full: Sequence[int], strides: Sequence[int], given: Mapping[str, Any]
) -> list[tuple[int, int]]:
    """Return where the output of a transposed convolution begins and ends along each axis."""
    auto, wanted = given.get("auto_pad") or "NOTSET", given.get("output_shape")
    if auto.startswith("SAME") and not wanted:
        wanted = [n * s for n, s in zip(before, strides, strict=True)]
    if wanted:
        ends = []
        for size, length in zip(full, wanted[-len(full) :], strict=True):
            half = max(size - length, 0) // 2
            low = half if auto == "SAME_UPPER" else size - length - half
            ends.append((low, low + length))
        return ends
    pads = given.get("pads") or [0] * 2 * len(full)
    return [(low, n - high) for low, high, n in zip(pads, pads[len(full) :], full, strict=False)]


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
    seen = sliding_window_view(padded, reach, tuple(range(2, x.ndim)))
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
