"""Which layout takes the fewest bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import onnx_ir as ir

from onnxpress.graph.constants import Shape, shape_of
from onnxpress.packing.layouts import (
    LONGEST,
    PACKABLE,
    Kind,
    Layout,
    kept_elements,
    of_blocks,
)
from onnxpress.packing.positions import SKIP, Mask, Positions, planes_length

_SHORT_BLOCKS: Final = (1, 2, 4, 8, 16)
_NODES: Final = 400  # bytes; the nodes of one decoder are never that much longer than of another


def find_layouts(tensor: ir.TensorProtocol) -> list[Layout]:
    """Return the smallest layout of each kind that may be the best; none for other types.

    Which one is, nodes and names included, is up to the caller.
    """
    if tensor.dtype not in PACKABLE or not tensor.size:
        return []
    kept = kept_elements(np.asarray(tensor.numpy()))
    best: dict[Kind, Layout] = {}
    for block in sorted(_block_sizes(shape_of(tensor))):
        limit = min((layout.bytes for layout in best.values()), default=tensor.nbytes) + _NODES
        for layout in _layouts(tensor, of_blocks(kept, block), block, limit):
            if layout.kind not in best or layout.bytes < best[layout.kind].bytes:
                best[layout.kind] = layout
    return list(best.values())


def _layouts(tensor: ir.TensorProtocol, kept: Mask, block: int, limit: int) -> Iterator[Layout]:
    """Yield the layouts with blocks of one size that take no more than `limit` bytes."""
    shape, count = shape_of(tensor), int(np.count_nonzero(kept))
    bits = block * tensor.dtype.bitwidth * count
    if math.ceil(bits / 8) + planes_length(kept.size) <= limit:
        yield Layout("mask", tensor.dtype, shape, block, count + 1)
    if count and math.ceil((bits + 4 * count) / 8) <= limit:
        steps = np.diff(np.flatnonzero(kept), prepend=0)
        for kind, longest in LONGEST.items():
            yield Layout(kind, tensor.dtype, shape, block, count + _stops(steps, longest))
        yield Layout("skips", tensor.dtype, shape, block, count + 1, _stops(steps, SKIP - 1))


def _stops(steps: Positions, longest: int) -> int:
    return int(((steps[steps > longest] - 1) // longest).sum())


def _block_sizes(shape: Shape) -> set[int]:
    """Return block sizes worth a try: short ones, and whole slices along leading axes."""
    size = math.prod(shape)
    slices = {math.prod(shape[axis:]) for axis in range(1, len(shape))}
    return {b for b in slices | set(_SHORT_BLOCKS) if size % b == 0 and b < max(size, 2)}
