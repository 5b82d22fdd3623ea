"""TensorScatter: new keys or values written over a part of a cache."""

from __future__ import annotations

import onnx_ir as ir

from onnxpress.autodiff.builder import attributes_of
from onnxpress.autodiff.moving import add_elements
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import count, positions
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("TensorScatter", since=24)
def _tensor_scatter(at: Site) -> Gradients:
    """What was written over counts no more; what was written gets the gradient of its place."""
    dy, update = at.gradient, at.input(1)
    past = _written(at, dy, at.op.zeros_like(update)) if at.needs(0) else None
    return past, _taken(at) if at.needs(1) else None


def _written(at: Site, cache: Tensor, update: Tensor) -> Tensor:
    where = at.input(2) if at.has(2) else None
    result = at.op("TensorScatter", cache, update, where, **attributes_of(at.node))
    return at.op.typed(result.value, cache.dtype, at.input(0).shape)


def _taken(at: Site) -> Tensor:
    """Return the gradient at the places of the update: the node says itself which these are.

    Every place of the cache has the number of the element written there; the others have -1,
    which is one place behind all elements.
    """
    op, dy, update = at.op, at.gradient, at.input(1)
    nowhere = op.filled(at.input(0), -1, ir.DataType.INT64)
    numbers = _written(at, nowhere, positions(update)).reshape(-1)
    length = count(update)
    zeros = op.constant(0.0, dy.dtype)
    zeros = op("Expand", zeros, length + 1)
    zeros = op.typed(zeros.value, dy.dtype, (None,))
    found = add_elements(zeros, numbers, dy.reshape(-1), axis=0)
    own = op("Slice", found, op.ints(0), length, op.ints(0))
    result = op("Reshape", own, update.sizes(), allowzero=1)
    return op.typed(result.value, dy.dtype, update.shape)
