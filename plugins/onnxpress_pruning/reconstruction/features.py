"""What a layer's weights are multiplied with: activations as matrices, windows for convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from onnxpress.graph.axes import used_shape
from onnxpress.graph.layer_rules import integer
from onnxpress_pruning.reconstruction.windows import windows_of

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress_pruning.reconstruction.product import Product

Features: TypeAlias = "Callable[[Array], Iterator[Array]]"
"""Turns activations into X, float32 of shape (groups, columns, samples), part by part."""


def features_of(product: Product, opset: int, columns: int = 0) -> Features:
    """Return what turns the tensor `product.source` into X, such that the layer gives W X.

    Args:
        product: The layer.
        opset: The operator set that its node is written in.
        columns: Make parts as small as if a group had so many columns, if that is more.
    """
    convolves = product.layer.op_type in {"Conv", "ConvTranspose"}
    cut = windows_of(product, opset, columns) if convolves else _vectors(product)
    return lambda array: cut(array.astype(np.float32, copy=False))


def _vectors(product: Product) -> Features:
    """Return how the other operand of a matrix product is read."""
    groups, _, columns = product.places.shape
    name = "transB" if product.left else "transA"
    turned = product.layer.op_type == "Gemm" and integer(product.layer.node, name, 0) != 0

    def cut(array: Array) -> Iterator[Array]:
        if array.ndim == 1:
            array = array[None] if not product.left else array[:, None]
        samples_first = array.swapaxes(-1, -2) if product.left != turned else array
        yield _by_group(samples_first, _batch(product), groups, columns)

    return cut


def _batch(product: Product) -> tuple[int, ...]:
    """Return the leading axes of a constant stack of matrices."""
    return (used_shape(product.weight.value, product.weight.path) or ())[:-2]


def _by_group(array: Array, batch: tuple[int, ...], groups: int, columns: int) -> Array:
    """Turn (…, samples, columns) into (groups, columns, samples); groups are stacked matrices."""
    if groups > 1:
        wanted = np.broadcast_shapes(array.shape[:-2], batch)
        array = np.broadcast_to(array, (*wanted, *array.shape[-2:]))
        spread = [size > 1 for size in batch]
        lead = len(wanted) - len(batch)
        axes = [lead + i for i, is_group in enumerate(spread) if is_group]
        array = np.moveaxis(array, axes, range(len(axes)))
    return array.reshape(groups, -1, columns).swapaxes(1, 2)
