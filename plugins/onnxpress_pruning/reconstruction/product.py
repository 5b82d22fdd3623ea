"""A layer as a product of matrices: which stored number stands in which row and column.

``Y = W X`` for each group of a layer: rows of W are output channels, its columns what one
output sums over.  For a convolution these are input channels × kernel positions, and X holds
one column for every place of the output (im2col).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxpress.graph.axes import used_shape
from onnxpress.graph.constants import FLOATS, STANDARD, type_name
from onnxpress.graph.layer_rules import integer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import onnx_ir as ir

    from onnxpress.data.batch import Array
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.weights import Weight

Places: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Product:
    """What a layer multiplies.

    Attributes:
        layer: The layer.
        places: Where each element of W lies in the stored tensor, flat; of shape
            (groups, rows, columns).  Columns count kernel positions first and the input
            channels of a position within them, so that neighbours differ in the channel.
        positions: How many kernel positions there are; 1 for matrices.
        left: Whether the constant is the left one of two matrices.
    """

    layer: Layer
    places: Places
    positions: int = 1
    left: bool = False

    @property
    def weight(self) -> Weight:
        """The stored tensor."""
        return self.layer.weight

    @property
    def channels(self) -> int:
        """How many input channels of one group there are."""
        return int(self.places.shape[2]) // self.positions

    @property
    def source(self) -> str:
        """The name of the tensor that W is multiplied with."""
        value = self.layer.node.inputs[1 if self.left else 0]
        return "" if value is None else value.name or ""

    def matrix(self, array: Array) -> Array:
        """Return W, of shape (groups, rows, columns), from an array like the stored one."""
        return np.asarray(array.reshape(-1)[self.places])

    def stored(self, matrix: Array, array: Array) -> Array:
        """Return a copy of `array`, which is like the stored one, that holds W as given."""
        changed = np.array(array, order="C")
        changed.reshape(-1)[self.places] = matrix.astype(array.dtype)
        return changed


def find_product(layer: Layer, graph: ir.Graph) -> Product | str:
    """Return what a layer of the main graph multiplies, or in words why it is no product.

    Args:
        layer: The layer.
        graph: The main graph of its model.
    """
    node, weight = layer.node, layer.weight
    rule = _PRODUCTS.get(node.op_type) if node.domain in STANDARD else None
    if rule is None:
        return f"a {node.op_type} is not computed as one product of matrices"
    if weight.dtype not in FLOATS:
        return f"{weight.name} is stored as {type_name(weight.dtype)}, not as floating point"
    if layer.calls or node.graph is not graph:
        return "it is in a subgraph or a function, where its inputs can't be watched"
    places = _places(weight)
    if places is None or weight.role != "weight":
        return f"the shape in which {weight.name} is used is not known"
    return rule(layer, places)


def _places(weight: Weight) -> Places | None:
    """Return the flat place of each element in the tensor as it is used."""
    places = np.arange(weight.size).reshape(weight.shape)
    for count, node in enumerate(weight.path, start=1):
        shape = used_shape(weight.value, weight.path[:count])
        if shape is None:
            return None
        if node.op_type == "Transpose":
            perm = node.attributes.get("perm")
            places = places.transpose(None if perm is None else tuple(perm.as_ints()))
        places = places.reshape(shape)
    return places


def _conv(layer: Layer, places: Places) -> Product:
    groups, (rows, channels) = layer.groups, places.shape[:2]
    split = places.reshape(groups, rows // groups, channels, -1)
    return Product(layer, _flat(split.swapaxes(2, 3)), split.shape[3])


def _conv_transpose(layer: Layer, places: Places) -> Product:
    groups, (channels, rows) = layer.groups, places.shape[:2]
    split = places.reshape(groups, channels // groups, rows, -1)
    return Product(layer, _flat(split.transpose(0, 2, 3, 1)), split.shape[3])


def _flat(places: Places) -> Places:
    """Join kernel positions and channels to columns."""
    return places.reshape(*places.shape[:2], -1)


def _gemm(layer: Layer, places: Places) -> Product:
    left = _is_left(layer)
    turned = integer(layer.node, "transA" if left else "transB", 0) != 0
    return Product(layer, (places if left != turned else places.T)[None], left=left)


def _matmul(layer: Layer, places: Places) -> Product | str:
    left = _is_left(layer)
    if places.ndim == 1:
        places = places[None]
    elif not left:
        places = places.swapaxes(-1, -2)
    return Product(layer, places.reshape(-1, *places.shape[-2:]), left=left)


def _is_left(layer: Layer) -> bool:
    first: ir.Value | None = layer.node.inputs[0]
    return first is layer.weight.used_as


_PRODUCTS: Final[Mapping[str, Callable[[Layer, Places], Product | str]]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
}
