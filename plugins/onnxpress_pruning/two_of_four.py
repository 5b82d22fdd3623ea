"""Weights of which two of every four in a row are zero, for runtimes that compute less with them.

Sparse tensor cores want the pattern along the axis that a product sums over; the record names
the axis of the stored tensor, so that nobody has to look for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.data.batch import Array
    from onnxpress.graph.weights import Weight

TWO_OF_FOUR: Final = "onnxpress.two_of_four"
"""The key in ``metadata_props``: a JSON object, from the name of a tensor to the axis."""

_KEPT, _OF = 2, 4


def record_two_of_four(graph: ir.Model, weights: Iterable[Weight]) -> None:
    """Write down which of `weights` keep the pattern, in place of what was written before."""
    found = {weight.name: axis for weight in weights for axis in _axes(weight)[:1]}
    if found:
        graph.metadata_props[TWO_OF_FOUR] = json.dumps(found, sort_keys=True, separators=(",", ":"))
    else:
        graph.metadata_props.pop(TWO_OF_FOUR, None)


def keeps_two_of_four(array: Array, axis: int) -> bool:
    """Say whether of every four elements in a row along `axis` at most two are not zero."""
    size = array.shape[axis]
    if size % _OF:
        return False
    rows = np.moveaxis(array != 0, axis, -1).reshape(-1, _OF)
    return bool((rows.sum(axis=1) <= _KEPT).all())


def _axes(weight: Weight) -> list[int]:
    """Return the axes along which the pattern holds, that of input channels first."""
    array = weight.array()
    axes = sorted(range(array.ndim), key=lambda axis: axis != weight.input_axis)
    return [axis for axis in axes if keeps_two_of_four(array, axis)]
