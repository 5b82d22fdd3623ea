"""The windows of convolutions: what a kernel is multiplied with at every place of the output."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress.graph.axes import used_shape

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.data.batch import Array
    from onnxpress.session import Session
    from onnxpress_pruning.reconstruction.product import Product

PART: Final = 64 << 20
"""Bytes of windows that are cut at a time."""


def windows_of(product: Product, opset: int, at_least: int) -> Callable[[Array], Iterator[Array]]:
    """Return what cuts windows, of shape (groups, columns, samples), a few images at a time.

    Args:
        product: A convolution.
        opset: The operator set that its node is written in.
        at_least: Make parts as small as if a group had so many columns, if that is more.
    """
    groups, _, columns = product.places.shape
    cut = _of_transposed(product, opset) if _transposes(product) else _of_plain(product)

    def parts(array: Array) -> Iterator[Array]:
        places = math.prod(array.shape[2:]) * array.itemsize
        step = max(PART // max(groups * max(columns, at_least) * places, 1), 1)
        for start in range(0, len(array), step):
            yield cut(array[start : start + step]).reshape(groups, columns, -1)

    return parts


def _transposes(product: Product) -> bool:
    return product.layer.op_type == "ConvTranspose"


def _window(product: Product) -> Sequence[int]:
    return (used_shape(product.weight.value, product.weight.path) or ())[2:]


def _of_plain(product: Product) -> Callable[[Array], Array]:
    """Return how the windows of a Conv are cut: one slice for each position of the kernel."""
    groups, channels, window = len(product.places), product.channels, _window(product)
    node, ones = product.layer.node, [1] * len(window)
    strides, dilations = _ints(node, "strides", ones), _ints(node, "dilations", ones)

    def cut(array: Array) -> Array:
        pads = _pads(node, array.shape[2:], window, strides, dilations)
        x = np.pad(array.swapaxes(0, 1), [(0, 0), (0, 0), *pads])
        split = x.reshape(groups, channels, *x.shape[1:])
        sizes = [
            (n - (k - 1) * d - 1) // s + 1
            for n, k, s, d in zip(x.shape[2:], window, strides, dilations, strict=True)
        ]
        found = np.empty((groups, product.positions, channels, len(array), *sizes), np.float32)
        for position, offset in enumerate(np.ndindex(*window)):
            steps = zip(offset, dilations, sizes, strides, strict=True)
            at = (slice(o * d, o * d + (size - 1) * s + 1, s) for o, d, size, s in steps)
            # The first three axes count groups, channels and images.
            found[:, position] = split[(slice(None), slice(None), slice(None), *at)]
        return found

    return cut


def _pads(
    node: ir.Node,
    shape: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[tuple[int, int]]:
    """Return the padding of a Conv at both ends of each axis."""
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    if mode == "VALID":
        return [(0, 0)] * len(window)
    if mode == "NOTSET":
        pads = _ints(node, "pads", [0] * (2 * len(window)))
        return list(zip(pads[: len(window)], pads[len(window) :], strict=True))
    found: list[tuple[int, int]] = []
    for n, k, s, d in zip(shape, window, strides, dilations, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        less, more = total // 2, total - total // 2
        found.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return found


def _ints(node: ir.Node, name: str, default: Sequence[int]) -> Sequence[int]:
    attribute = node.attributes.get(name)
    return default if attribute is None else list(attribute.as_ints())


def _of_transposed(product: Product, opset: int) -> Callable[[Array], Array]:
    """Return how a ConvTranspose is taken apart: into one output for each weight of a kernel.

    ONNX Runtime does it, with kernels of a single 1 for each input channel.
    """
    groups, channels, positions = len(product.places), product.channels, product.positions
    session = _ones(product, groups * channels, opset)

    def cut(array: Array) -> Array:
        found = session.run({"x": array})["y"]
        split = found.reshape(len(found), groups, channels, positions, -1)
        return split.transpose(1, 3, 2, 0, 4)

    return cut


def _ones(product: Product, channels: int, opset: int) -> Session:
    import onnx_ir as ir

    from onnxpress.graph.model import Model
    from onnxpress.session import Session

    positions, window = product.positions, _window(product)
    kernel = np.eye(positions, dtype=np.float32).reshape(1, positions, *window)
    kernel = np.broadcast_to(kernel, (channels, positions, *window)).copy()
    kind = ir.TensorType(ir.DataType.FLOAT)
    x, y = (ir.Value(name=name, type=kind) for name in "xy")
    x.shape = ir.Shape(["N", channels, *(f"n{i}" for i in range(len(window)))])
    weight = ir.Value(name="w", type=kind, const_value=ir.Tensor(kernel, name="w"))
    weight.shape = ir.Shape(kernel.shape)
    attributes = {**product.layer.node.attributes, "group": ir.AttrInt64("group", channels)}
    node = ir.Node("", "ConvTranspose", [x, weight], attributes.values(), outputs=[y])
    graph = ir.Graph([x], [y], nodes=[node], initializers=[weight], opset_imports={"": opset})
    return Session(Model(ir.Model(graph, ir_version=10)))
