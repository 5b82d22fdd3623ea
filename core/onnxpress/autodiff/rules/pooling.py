"""Maxima over windows.

Where elements tie, the first of the window gets the whole gradient, as in PyTorch.
"""

from __future__ import annotations

from math import prod
from typing import Any, Final

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.rules.convolution import gradient_of, ranked
from onnxpress.autodiff.rules.spreading import folded, unfolded, window_sums
from onnxpress.autodiff.rules.window_attributes import window_of
from onnxpress.autodiff.rules.windows import Window, lowest, spatial
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS
from onnxpress.autodiff.tensor import Tensor

_LARGEST_MASKED: Final = 9  # elements of a window, up to which masks beat indices


@GRADIENTS("MaxPool")
def _max_pool(at: Site) -> Tensor:
    dy = gradient_of(at)
    window = window_of(at)
    x = ranked(at.input(0), window).cast(dy.dtype)
    indices = _given_indices(at)
    if indices is None and prod(at.ints("kernel_shape") or ()) <= _LARGEST_MASKED:
        return _by_masks(x, at.output().cast(dy.dtype), dy, window.fitted(x, dy))
    return _by_indices(at, x, dy, indices)


def _by_masks(x: Tensor, y: Tensor, dy: Tensor, window: Window) -> Tensor:
    """Compare what the window sees with the maximum, one place inside it after the other.

    The results are put back by a transposed convolution whose weights are all unit windows.
    """
    op, grown = x.op, window.grown
    padded, count = grown.padded(x, lowest(x.dtype)), spatial(dy)
    seen = [grown.seen(padded, offset, count) for offset in grown.offsets()]
    parts = [m.cast(dy.dtype) * dy for m in _first(op, [s.equal(y) for s in seen])]
    stacked = op.concat([op.typed(p.value, dy.dtype, dy.shape).unsqueeze(2) for p in parts], axis=2)
    each = folded(op.typed(stacked.value, dy.dtype, None), dy, len(parts))
    return unfolded(window_sums(each, x, window, _units(op, window, dy.dtype)), x)


def _first(op: Builder, masks: list[Tensor]) -> list[Tensor]:
    """Keep of several masks, element by element, only the first that is true."""
    kept, taken = masks[:1], masks[0]
    for mask in masks[1:]:
        kept.append(op("And", mask, op("Not", taken)))
        taken = op("Or", taken, mask)
    return kept


def _units(op: Builder, window: Window, dtype: ir.DataType | None) -> Tensor:
    """Return as many windows as a window has elements, each with a single 1."""
    assert window.count is not None
    unit = np.eye(window.count).reshape(window.count, 1, *np.array(window.kernel))
    return op.constant(unit, dtype or ir.DataType.FLOAT)


def _given_indices(at: Site) -> Tensor | None:
    """Return the second output of a node, if it has one that counts along rows."""
    if len(at.y) < 2 or at.integer("storage_order"):  # noqa: PLR2004
        return None
    return at.y[1]


def _by_indices(at: Site, x: Tensor, dy: Tensor, indices: Tensor | None) -> Tensor:
    """Put the gradients where the maxima come from, which the operator itself can tell."""
    op = at.op
    if indices is None:
        attributes: dict[str, Any] = {
            k: v for k, v in at.node.attributes.items() if k != "storage_order"
        }
        _, indices = op.many("MaxPool", 2, x, **attributes)
    kind = ir.DataType.FLOAT if dy.dtype == ir.DataType.FLOAT16 else dy.dtype  # no float16 kernel
    total = op("ReduceProd", x.sizes()) if x.fixed is None else op.ints(prod(x.fixed))
    zero = ir.Tensor(np.zeros(1, (kind or ir.DataType.FLOAT).numpy()))
    flat = op("ConstantOfShape", total, value=zero)
    flat = op.typed(flat.value, kind, (None,))
    where, what = indices.reshape(-1), dy.cast(kind).reshape(-1)
    return (
        op("ScatterElements", flat, where, what, axis=0, reduction="add")
        .cast(dy.dtype)
        .reshape_like(x)
    )


@GRADIENTS("GlobalMaxPool")
def _global_max_pool(at: Site) -> Tensor:
    op, x, dy = at.op, at.input(0), at.gradient
    flat = x.reshape(0, 0, -1)
    where = op("ArgMax", flat, axis=2, keepdims=1)
    zeros = op.zeros_like(flat, dy.dtype)
    return op("ScatterElements", zeros, where, dy.reshape(0, 0, -1), axis=2).reshape_like(x)
