"""Counting zeros in weights, a piece at a time, however big they are."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Final

import numpy as np
import onnx_ir as ir

from onnxpress.data.batch import Array
from onnxpress.graph.constants import stored_tensor
from onnxpress.graph.weights import Weight

_PIECE: Final = 1 << 18  # elements; stays in the processor's cache
_PAGES: Final = 1 << 24  # bytes of a file that may be resident at a time
_UNSIGNED: Final = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_ZERO_POINT: Final = 2


def count_zeros(weight: Weight) -> int:
    """Count the elements of a weight that stand for 0.

    Quantized elements stand for 0 where they equal the zero point of their
    ``DequantizeLinear``; minus zero is zero.
    """
    zero_point = _zero_point(weight)
    if zero_point is None or not zero_point.any():
        return sum(map(_zeros, _pieces(weight.tensor)))
    if (zero_point == zero_point.flat[0]).all():
        zero = zero_point.flat[0]
        return sum(int(np.count_nonzero(piece == zero)) for piece in _pieces(weight.tensor))
    return int(np.count_nonzero(weight.array() == _along_axis(zero_point, weight)))


def _zeros(piece: Array) -> int:
    if piece.dtype.kind == "f":
        # Shifted to the left by the sign, the bits of both zeros are 0; three times as fast.
        piece = piece.view(_UNSIGNED[piece.dtype.itemsize]) << 1
    return int(piece.size - np.count_nonzero(piece))


def _pieces(tensor: ir.TensorProtocol) -> Iterator[Array]:
    """Go through the elements; of a memory-mapped file, few pages are held at a time."""
    flat = np.asarray(tensor.numpy()).reshape(-1)
    mapped = tensor.raw if isinstance(tensor, ir.ExternalTensor) else None
    held = 0
    for start in range(0, flat.size, _PIECE):
        yield flat[start : start + _PIECE]
        held += _PIECE * flat.itemsize
        if held >= _PAGES:
            _release(mapped)
            held = 0
    _release(mapped)


def _release(mapped: object) -> None:
    """Tell the system that the pages read so far are not needed in memory."""
    if isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise"):  # not on Windows
        mapped.madvise(mmap.MADV_DONTNEED)


def _dequantizer(weight: Weight) -> ir.Node | None:
    return next((node for node in weight.path if node.op_type == "DequantizeLinear"), None)


def _zero_point(weight: Weight) -> Array | None:
    """Return the zero point of stored integers, None where they are plain numbers."""
    node = _dequantizer(weight)
    if node is None or weight.dtype.is_floating_point() or len(node.inputs) <= _ZERO_POINT:
        return None
    tensor = stored_tensor(node.inputs[_ZERO_POINT])
    return None if tensor is None or not tensor.size else np.asarray(tensor.numpy())


def _along_axis(zero_point: Array, weight: Weight) -> Array:
    """Shape the zero points of channels, or of blocks, so that they meet their elements."""
    node = _dequantizer(weight)
    assert node is not None  # it gave the zero point
    axis = node.attributes.get_int("axis", 1)
    if block := node.attributes.get_int("block_size", 0):
        wide: Array = np.repeat(zero_point, block, axis).take(range(weight.shape[axis]), axis)
        return wide
    rank = len(weight.shape)
    return zero_point.reshape([-1 if i == axis % rank else 1 for i in range(rank)])
