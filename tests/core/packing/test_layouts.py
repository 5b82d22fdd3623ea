"""Layouts: the smallest is found, and every one gives the same bits back."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from onnxpress.data.batch import Array
from onnxpress.packing.choosing import find_layouts
from onnxpress.packing.layouts import (
    PACKABLE,
    Layout,
    Parts,
    fill_of,
    pack_values,
    pack_where,
    unpack,
)

RNG = np.random.default_rng(0)


def sparse(shape: tuple[int, ...], share: float, dtype: Any = np.float32) -> Array:
    array = RNG.standard_normal(shape) * 5
    array[RNG.random(shape) < share] = 0
    return array.astype(dtype)


def pack(array: Array, layout: Layout) -> Parts:
    return Parts(pack_where(array, layout), pack_values(array, layout), fill_of(array))


def smallest(array: Array) -> Layout:
    return min(find_layouts(ir.tensor(array)), key=lambda layout: layout.bytes)


@pytest.mark.parametrize("dtype", sorted(PACKABLE), ids=ir.DataType.__str__)
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97, 1.0])
def test_every_layout_gives_the_same_bits_back(dtype: ir.DataType, share: float) -> None:
    array = sparse((6, 7, 3), share, dtype.numpy())
    layouts = find_layouts(ir.Tensor(array, dtype=dtype))
    assert layouts
    for layout in layouts:
        parts = pack(array, layout)
        assert parts.where.shape == layout.where_shape
        assert parts.values.shape == layout.values_shape
        back = unpack(parts, layout)
        assert back is not None
        assert back.dtype == array.dtype
        assert back.tobytes() == array.tobytes()


def test_bits_count_not_values() -> None:
    array = np.zeros(400, np.float32)
    array[::50] = [-0.0, np.nan, np.inf, -np.inf, 1e-45, 1, -1, 0.0]
    back = unpack(pack(array, smallest(array)), smallest(array))
    assert back is not None
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize(("share", "kind"), [(0.5, "mask"), (0.95, "gaps"), (0.999, "gaps")])
def test_the_sparser_the_more_gaps_are_worth(share: float, kind: str) -> None:
    assert smallest(sparse((200, 200), share)).kind == kind


@pytest.mark.parametrize("share", [0.8, 0.9])
def test_small_values_make_small_gaps_worth_their_skips(share: float) -> None:
    array = sparse((200, 200), share, np.int8)
    sizes = {layout.kind: layout.bytes for layout in find_layouts(ir.tensor(array))}
    assert min(sizes, key=lambda kind: sizes[kind]) == "skips"
    assert sizes["skips"] < sizes["small-gaps"] - stops(array) / 2


def stops(array: Array) -> int:
    """Return how many values four-bit gaps store of elements that are zero."""
    layouts = {layout.kind: layout for layout in find_layouts(ir.tensor(array))}
    return layouts["small-gaps"].count - int(np.count_nonzero(array))


def test_whole_rows_and_blocks_go_together() -> None:
    rows = sparse((64, 3, 3, 3), 0)
    rows[RNG.random(64) < 0.5] = 0
    blocks = sparse((64, 16, 4), 0)
    blocks[RNG.random((64, 16)) < 0.6] = 0
    assert smallest(rows).block == 27
    assert smallest(blocks).block == 4


def test_a_zero_point_is_left_out_like_a_zero() -> None:
    array = sparse((100, 100), 0.8, np.int8).view(np.uint8) + np.uint8(131)
    layout = smallest(array)
    assert layout.bytes < 0.35 * array.size
    assert pack(array, layout).fill.item() == 131


def test_no_layout_for_texts_and_nothing() -> None:
    assert find_layouts(ir.tensor(np.zeros((0, 3), np.float32))) == []
    assert find_layouts(ir.tensor(np.zeros(9, np.bool_))) == []
    eights = np.zeros(99, ml_dtypes.float8_e4m3fn)
    assert find_layouts(ir.tensor(eights)) == []


def test_parts_that_do_not_fit_together_are_no_tensor() -> None:
    array = sparse((50, 50), 0.9)
    for layout in find_layouts(ir.tensor(array)):
        parts = pack(array, layout)
        parts.where.reshape(-1)[:] = np.asarray(255 if layout.kind == "mask" else 15).astype(
            parts.where.dtype
        )
        assert unpack(parts, layout) is None
