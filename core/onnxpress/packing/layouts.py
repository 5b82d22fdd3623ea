"""Layouts: the ways to pack a tensor, and how it is packed and unpacked.

A tensor is a row of blocks of equal size, in the order of memory; a block of nothing but the
fill is left out.  Blocks of one element are unstructured pruning, longer ones whole kernels,
channels or blocks.  Elements are compared by their bits: -0.0 and NaN are values like others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxpress.data.batch import Array
from onnxpress.graph.constants import Shape
from onnxpress.packing.positions import (
    Mask,
    Positions,
    from_gaps,
    from_planes,
    from_skips,
    planes_length,
    to_gaps,
    to_planes,
    to_skips,
    with_stops,
)

Kind: TypeAlias = Literal["mask", "gaps", "small-gaps", "skips"]
Patterns: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]

FOUR_BITS: Final = frozenset({ir.DataType.INT4, ir.DataType.UINT4})
PACKABLE: Final = FOUR_BITS | {
    ir.DataType.FLOAT,
    ir.DataType.DOUBLE,
    ir.DataType.FLOAT16,
    ir.DataType.BFLOAT16,
    ir.DataType.INT8,
    ir.DataType.UINT8,
    ir.DataType.INT16,
    ir.DataType.UINT16,
    ir.DataType.INT32,
    ir.DataType.INT64,
}
"""The element types for which ONNX Runtime has all the operators on the CPU."""

LONGEST: Final[Mapping[Kind, int]] = {"gaps": 255, "small-gaps": 15}
"""The longest gap that fits, for the kinds that store a value wherever they stop."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to pack a tensor.

    Attributes:
        kind: ``mask``: a bit for every block.  ``gaps``: a byte for every block that is
            kept, the distance from the one before.  ``small-gaps``: four bits for it.
            ``skips``: the same, and where a gap is too long, skips that take no value.
        dtype: The element type.
        shape: The shape of the tensor.
        block: The elements of a block.
        count: How many blocks are stored: those kept, and for gaps also the stops in
            between where one would not fit; for ``mask`` and ``skips`` also the fill.
        skips: How many skips there are, for ``skips``.
    """

    kind: Kind
    dtype: ir.DataType
    shape: Shape
    block: int
    count: int
    skips: int = 0

    @property
    def size(self) -> int:
        """The elements of the tensor."""
        return math.prod(self.shape)

    @property
    def blocks(self) -> int:
        """The blocks of the tensor."""
        return self.size // self.block

    @property
    def where_type(self) -> ir.DataType:
        """The element type of the positions."""
        return ir.DataType.UINT4 if self.kind in {"small-gaps", "skips"} else ir.DataType.UINT8

    @property
    def fill_first(self) -> bool:
        """Whether the first of the stored values is the fill."""
        return self.kind in {"mask", "skips"}

    @property
    def where_shape(self) -> Shape:
        """The shape of the positions: bit planes, or a column of gaps."""
        if self.kind == "mask":
            return (1, planes_length(self.blocks))
        return (self.count - self.fill_first + self.skips, 1)

    @property
    def values_shape(self) -> Shape:
        """The shape of the stored values."""
        return (self.count,) if self.block == 1 else (self.count, self.block)

    @property
    def bytes(self) -> int:
        """The bytes of positions and values."""
        where = math.prod(self.where_shape) * self.where_type.bitwidth
        values = math.prod(self.values_shape) * self.dtype.bitwidth
        return math.ceil(where / 8) + math.ceil(values / 8)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is stored of a tensor: where its blocks are, and their values."""

    where: Array
    values: Array
    fill: Array  # one element


def pack_where(array: Array, layout: Layout) -> Array:
    """Return the positions that `layout` stores of a tensor."""
    kept = of_blocks(kept_elements(array), layout.block)
    if layout.kind == "mask":
        return to_planes(kept)
    positions = np.flatnonzero(kept)
    skips = layout.kind == "skips"
    gaps = to_skips(positions) if skips else to_gaps(with_stops(positions, LONGEST[layout.kind]))
    return gaps.reshape(-1, 1).astype(layout.where_type.numpy())


def pack_values(array: Array, layout: Layout) -> Array:
    """Return the values that `layout` stores of a tensor."""
    kept = of_blocks(kept_elements(array), layout.block)
    rows = array.reshape(-1, layout.block)
    if layout.fill_first:
        first = np.broadcast_to(fill_of(array), (1, layout.block))
        return np.concatenate([first, rows[kept]]).reshape(layout.values_shape)
    stored = rows[with_stops(np.flatnonzero(kept), LONGEST[layout.kind])]
    return stored.reshape(layout.values_shape)


def unpack(parts: Parts, layout: Layout) -> Array | None:
    """Put a tensor together again; None if the parts do not fit together."""
    rows = np.empty((layout.blocks, layout.block), parts.values.dtype)
    rows[:] = parts.fill
    values = parts.values.reshape(-1, layout.block)[int(layout.fill_first) :]
    where: Mask | Positions
    if layout.kind == "mask":
        where = from_planes(parts.where, layout.blocks)
        fits = int(np.count_nonzero(where)) == len(values)
    else:
        where = (from_skips if layout.kind == "skips" else from_gaps)(parts.where)
        fits = where.size == len(values) and (not where.size or int(where[-1]) < layout.blocks)
    if layout.kind == "skips":  # what a skip puts in place must be what is there
        first = _patterns(parts.values)[: layout.block]
        fits = fits and bool((first == _patterns(parts.fill)).all())
    if not fits:
        return None
    rows[where] = values
    return rows.reshape(layout.shape)


def of_blocks(kept: Mask, block: int) -> Mask:
    """Return which blocks hold anything to keep."""
    width = math.gcd(block, 8)  # as many elements are looked at as one number
    words = kept.view(f"u{width}").reshape(-1, block // width)
    blocks: Mask = words[:, 0] != 0 if block == width else np.any(words, axis=1)
    return blocks


def _patterns(array: Array) -> Patterns:
    """Return the bits of every element, flat."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype.itemsize == 1 and not flat.dtype.isbuiltin:  # 4 bits: what is above is noise
        return flat.astype(np.int8).view(np.uint8)
    patterns: Patterns = flat.view(f"u{flat.dtype.itemsize}")
    return patterns


def fill_of(array: Array) -> Array:
    """Return what is left out: +0, but for small integers whatever occurs most often.

    Zero weights of an asymmetric grid are stored as their zero point.
    """
    if array.dtype.itemsize > 1:
        return np.zeros(1, array.dtype)
    patterns = _patterns(array)
    zeros = patterns == 0
    if 2 * int(np.count_nonzero(zeros)) >= patterns.size:
        return np.zeros(1, array.dtype)
    commonest = int(np.argmax(np.bincount(patterns, minlength=256)))
    first = int(np.argmax(patterns == commonest))
    return np.asarray(array.reshape(-1)[first : first + 1])


def kept_elements(array: Array) -> Mask:
    """Return which elements are not the fill, flat."""
    kept: Mask = _patterns(array) != _patterns(fill_of(array))[0]
    return kept
