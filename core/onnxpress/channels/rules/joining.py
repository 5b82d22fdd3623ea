"""Channel flow through what joins and divides tensors."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.channels.settle import fixed_sizes_read
from onnxpress.channels.site import axis_of
from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from onnxpress.channels.cut import Cut
    from onnxpress.channels.site import Port, Site
    from onnxpress.data.batch import Array


@CHANNEL_FLOW("Concat")
def _concat(at: Site) -> None:
    y = at.output()
    if y is None:
        return
    along = axis_of(at.integer("axis", 0), y)
    for given in at.inputs:
        if given is not None:
            _beside(at, given, y, along)
    _parts(at, y, along, [] if None in at.inputs else list(at.inputs))


@CHANNEL_FLOW("Split")
def _split(at: Site) -> None:
    x = at.input(0)
    if x is None:
        return
    along = axis_of(at.integer("axis", 0), x)
    outputs = list(at.outputs)
    for part in outputs:
        if part is not None:
            _beside(at, part, x, along)
    _parts(at, x, along, [] if None in outputs else outputs)

    def fix(cut: Cut) -> None:
        if cut.changes(x, along):
            sizes = [cut.left(part, along) for part in outputs if part is not None]
            cut.node(at.node).attributes.pop("num_outputs", None)
            cut.set_input(at.node, 1, np.array(sizes, np.int64))

    at.on_cut(fix)


def _beside(at: Site, part: Port, whole: Port, along: int) -> None:
    """Let all axes but one be the same in a part and in the whole."""
    for axis in range(whole.rank):
        if axis != along:
            at.same(part, axis, whole, axis)


def _parts(at: Site, whole: Port, along: int, parts: list[Port | None]) -> None:
    """Let the positions of parts go with those of the whole, one part behind the other."""
    sizes = [None if part is None else part.sizes[along] for part in parts]
    known = [size for size in sizes if size is not None]
    if not parts or len(known) < len(sizes) or sum(known) != whole.sizes[along]:
        return
    borders = np.cumsum([0, *known])
    for part, (start, end) in zip(parts, pairwise(borders), strict=True):
        if part is not None:
            at.tie(part, along, whole, along, slice(None), slice(int(start), int(end)))


@CHANNEL_FLOW("Slice")
def _slice(at: Site) -> None:
    x, y = at.input(0), at.output()
    if x is None or y is None:
        return
    bounds = _bounds(at, x)
    for axis in range(x.rank):
        if bounds is None:
            continue
        if axis not in bounds:
            at.same(x, axis, y, axis)
        elif x.sizes[axis] is not None and y.sizes[axis] is not None:
            _take(at, x, y, axis, np.arange(x.sizes[axis] or 0)[bounds[axis]])
    at.on_cut(lambda cut: _slice_less(at, cut, x, bounds or {}))


def _bounds(at: Site, x: Port) -> dict[int, slice] | None:
    """Return what a Slice takes of each axis it names; None if that is not known.

    What is not known of axes whose size depends on the inputs does not matter.
    """
    names = at.array(3)
    count = at.input(1)
    if count is None or count.sizes[0] is None:
        return None
    axes = range(count.sizes[0]) if not at.given(3) else names
    if axes is None:
        return None
    listed = [int(axis) % x.rank for axis in axes]
    starts, ends, steps = at.array(1), at.array(2), at.array(4)
    if at.given(4) and steps is None:
        return None
    if starts is None or ends is None:
        return (
            None if any(x.sizes[a] is not None for a in listed) else {a: slice(0) for a in listed}
        )
    return {
        axis: _clipped(int(starts[i]), int(ends[i]), 1 if steps is None else int(steps[i]))
        for i, axis in enumerate(listed)
    }


def _clipped(start: int, end: int, step: int) -> slice:
    """Return a slice as Python writes it: backwards to the beginning has no end."""
    return slice(start, None if step < 0 and end < -(1 << 31) + 1 else end, step)


def _slice_less(at: Site, cut: Cut, x: Port, bounds: dict[int, slice]) -> None:
    """Let a Slice of an axis that lost something take what is left of what it took."""
    for axis, taken in bounds.items():
        if not cut.changes(x, axis):
            continue
        kept = cut.kept(x, axis)
        wanted = np.arange(kept.size)[taken]
        new = (np.cumsum(kept) - 1)[wanted[kept[wanted]]]
        node = cut.node(at.node)
        given = node.inputs[0]
        picked = cut.insert_before(at.node, "Gather", [given, new.astype(np.int64)], {"axis": axis})
        node.replace_input_with(0, picked)
        _take_all(at, cut, axis)


def _take_all(at: Site, cut: Cut, axis: int) -> None:
    """Let a Slice take an axis as it is."""
    names = at.array(3)
    x = at.input(0)
    starts, ends = at.array(1), at.array(2)
    steps = at.array(4)
    if x is None or starts is None or ends is None:
        return
    listed = list(range(starts.size)) if names is None else [int(n) % x.rank for n in names]
    index = listed.index(axis)
    node = cut.node(at.node)
    for slot, number in ((1, 0), (2, np.iinfo(np.int64).max), (4, 1)):
        old = node.inputs[slot] if slot < len(node.inputs) else None
        if slot == 4 and (steps is None or old is None):  # noqa: PLR2004
            continue
        present = old.const_value if old is not None else None
        array = np.array(present.numpy() if present is not None else at.array(slot), np.int64)
        array[index] = number
        cut.set_input(at.node, slot, array)


@CHANNEL_FLOW("Gather")
def _gather(at: Site) -> None:
    x, indices, y = at.input(0), at.input(1), at.output()
    if x is None or indices is None or y is None:
        return
    along = axis_of(at.integer("axis", 0), x)
    for axis in range(x.rank):
        if axis < along:
            at.same(x, axis, y, axis)
        elif axis > along:
            at.same(x, axis, y, axis + indices.rank - 1)
    array = at.array(1)  # what computed indices pick is anybody's guess: all of it stays
    if array is not None and x.sizes[along] is not None:
        _pick(at, x, y, along, indices, np.asarray(array))


def _pick(at: Site, x: Port, y: Port, along: int, indices: Port, array: Array) -> None:
    """Let what constant indices pick go with what they pick it from."""
    size = x.sizes[along] or 0
    picked = np.where(array < 0, array + size, array)
    if indices.rank == 1:
        _take(at, x, y, along, picked)
        at.free(indices, 0)
        at.same(indices, 0, y, along)
    else:
        at.free(x, along)
        ids = at.flow.ids(x, along)
        if ids is not None:
            at.flow.labels.pin(ids[picked.reshape(-1)], f"{at.label} picks it")

    def fix(cut: Cut) -> None:
        kept = cut.kept(x, along)
        if kept.all() and not cut.changes(y):
            return
        new = np.cumsum(kept) - 1
        left = picked[kept[picked]] if indices.rank == 1 else picked
        cut.set_input(at.node, 1, new[left].astype(array.dtype))

    at.on_cut(fix)


def _take(at: Site, x: Port, y: Port, axis: int, taken: Array) -> None:
    """Let every position of an output go with the position of the input that it is."""
    if y.sizes[axis] != taken.size:
        return
    at.free(x, axis)
    at.tie(y, axis, x, axis, slice(None), taken)


@CHANNEL_FLOW("Pad")
def _pad(at: Site) -> None:
    x, y, pads = at.input(0), at.output(), at.array(1)
    if x is None or y is None or pads is None:
        return
    adds_zeros = at.text("mode", "constant") == "constant"
    given = at.array(3)
    axes = list(range(x.rank)) if given is None else [int(a) % x.rank for a in given.reshape(-1)]
    for axis in range(x.rank):
        if axis not in axes:
            at.same(x, axis, y, axis)
            continue
        before, after = (int(pads[axes.index(axis) + i * len(axes)]) for i in (0, 1))
        if before == after == 0:
            at.same(x, axis, y, axis)
        elif (
            adds_zeros
            and min(before, after) >= 0
            and x.sizes[axis] is not None
            and y.sizes[axis] is not None
        ):
            at.free(y, axis)
            at.tie(x, axis, y, axis, slice(None), slice(before, before + (x.sizes[axis] or 0)))

    def fix(cut: Cut) -> None:
        new = np.array(pads, np.int64)
        for i, axis in enumerate(axes):
            before = int(pads[i])
            if cut.changes(y, axis) and (before or pads[i + len(axes)]):
                kept, size = cut.kept(y, axis), x.sizes[axis] or 0
                new[i] = int(kept[:before].sum())
                new[i + len(axes)] = int(kept[before + size :].sum())
        if not np.array_equal(new, pads):
            cut.set_input(at.node, 1, new)

    at.on_cut(fix)


@CHANNEL_FLOW("Expand")
def _expand(at: Site) -> None:
    x, y = at.input(0), at.output()
    target = at.input(1)
    if x is None or y is None or target is None:
        return
    at.broadcast(x, y)
    for axis in range(y.rank):
        spare = axis - (y.rank - x.rank)
        if y.sizes[axis] is None:
            at.keep(y, axis, f"{at.label} makes any number of them")
        elif spare < 0 or x.sizes[spare] == 1:
            at.free(y, axis)
    offset = y.rank - (target.sizes[0] or 0)
    if offset == 0:
        at.on_cut(lambda cut: cut.resize(at.node, 1, y))


@CHANNEL_FLOW("Tile")
def _tile(at: Site) -> None:
    x, y, repeats = at.input(0), at.output(), at.array(1)
    if x is None or y is None or repeats is None:
        return
    for axis in range(x.rank):
        size, times = x.sizes[axis], int(repeats[axis])
        if times == 1:
            at.same(x, axis, y, axis)
        elif size is not None and size > 1 and y.sizes[axis] is not None:
            at.tie(x, axis, y, axis, np.tile(np.arange(size), times), slice(None))


@CHANNEL_FLOW("ConstantOfShape")
def _constant_of_shape(at: Site) -> None:
    y = at.output()
    if y is None:
        return
    for axis in range(y.rank):
        at.free(y, axis)
    at.on_cut(lambda cut: cut.resize(at.node, 0, y))


@CHANNEL_FLOW("Shape")
def _shape(at: Site) -> None:
    """Let sizes be asked for if only those are read that depend on the inputs anyway."""
    x = at.input(0)
    if x is None or fixed_sizes_read(at.node, at.flow.known, x.sizes):
        return
    for axis in range(x.rank):
        at.free(x, axis)


@CHANNEL_FLOW("Resize")
def _resize(at: Site) -> None:
    """Let samples and channels be cut that are not resized."""
    x, y, sizes = at.input(0), at.output(), at.input(3)
    if x is None or y is None or at.text("coordinate_transformation_mode", "").startswith("tf_"):
        return
    for axis in range(min(2, x.rank)):
        if x.sizes[axis] == y.sizes[axis] is not None:
            at.same(x, axis, y, axis)
    if sizes is not None and sizes.sizes == (x.rank,):
        at.on_cut(lambda cut: cut.resize(at.node, 3, y))
