"""What exporters bake into single operators when the batch size is fixed, and how to free it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.graph.constants import constant_tensor
from onnxpress.graph.dynamic_site import Place, Site, carried
from onnxpress.rules import RuleTable

if TYPE_CHECKING:
    from onnxpress.data.batch import Array

Repair: TypeAlias = Callable[[Site], None]
"""Changes a node so that it takes any batch size; does nothing where it does so already."""

REPAIRS: Final[RuleTable[Repair]] = RuleTable("dynamic-batch")

_SIZES: Final = 3  # input of Resize


@REPAIRS("Reshape")
def _reshape(at: Site) -> None:
    data = at.input(0)
    place, target = at.place(data), at.sizes(1)
    if place is None or data is None:
        return
    before, after = at.old(data), at.old(at.node.outputs[0])
    if before is None or after is None:
        _copy_first(at, place, target)
        return
    found = next(iter(carried(place, before, after, at.batch)), None)
    if found is None or 0 in after:
        return
    at.put(at.node.outputs[0], found)
    wanted = [size * at.factor if axis == found.axis else size for axis, size in enumerate(after)]
    if target is None or not _gives(target, at, wanted, place):
        at.set_sizes(1, [-1 if axis == found.axis else size for axis, size in enumerate(after)])


def _gives(target: list[int], at: Site, wanted: list[int], place: Place) -> bool:
    """Say whether a target leads to the wanted shape already."""
    before = list(at.old(at.input(0)) or ())
    before[place.axis] *= at.factor
    copies = not at.node.attributes.get_int("allowzero", 0)
    if len(target) != len(wanted):
        return False
    found = [
        before[axis] if size == 0 and copies and axis < len(before) else size
        for axis, size in enumerate(target)
    ]
    return all(size in {-1, want} for size, want in zip(found, wanted, strict=True))


def _copy_first(at: Site, place: Place, target: list[int] | None) -> None:
    """Let a target whose other sizes are open take its first one from the data."""
    copies = not at.node.attributes.get_int("allowzero", 0)
    if target and place == Place(0) and target[0] == at.batch and (copies or -1 not in target):
        at.set_sizes(1, [0 if copies else -1, *target[1:]])


@REPAIRS("Expand")
def _expand(at: Site) -> None:
    # Expand broadcasts both ways, so a size of 1 leaves the batch as it is.
    data = at.input(0)
    place, target, before = at.place(data), at.sizes(1), at.old(data)
    if place is None or target is None or before is None:
        return
    axis = place.axis + len(target) - len(before)
    if axis >= 0 and target[axis] == before[place.axis]:
        at.set_sizes(1, [1 if i == axis else size for i, size in enumerate(target)])


@REPAIRS("Resize", since=18)
def _resize(at: Site) -> None:
    place, sizes, before = at.place(at.input(0)), at.sizes(_SIZES), at.old(at.input(0))
    crops = at.node.attributes.get_string("coordinate_transformation_mode", "")
    if place is None or not sizes or before is None or crops == "tf_crop_and_resize":
        return
    given = at.node.attributes.get("axes")
    axes = [axis % len(before) for axis in given.as_ints()] if given else list(range(len(before)))
    if place.axis in axes and sizes[axes.index(place.axis)] == before[place.axis]:
        kept = [(axis, size) for axis, size in zip(axes, sizes, strict=True) if axis != place.axis]
        at.node.attributes.add(ir.AttrInt64s("axes", [axis for axis, _ in kept]))
        at.set_sizes(_SIZES, [size for _, size in kept])


@REPAIRS("Concat")
def _concat(at: Site) -> None:
    axis = at.node.attributes.get_int("axis", 0)
    before = at.old(at.input(0))
    _spread_to_all(at, range(len(at.node.inputs)), None if before is None else axis % len(before))


@REPAIRS("GatherElements", "GridSample", "ScatterElements")
def _alike(at: Site) -> None:
    _spread_to_all(at, range(len(at.node.inputs)), None)


@REPAIRS("ScatterND")
def _scatter(at: Site) -> None:
    # x[:, 2:4] = y is exported with the index of the one sample written out.  With the batch
    # last in data and updates, the same indices without it write the rows of all samples.
    data, where, updates = at.input(0), at.input(1), at.input(2)
    into, of = at.place(data), at.place(updates)
    stored = None if where is None else constant_tensor(where)
    if data is None or updates is None or into is None or of is None or stored is None:
        return
    indices = np.asarray(stored.numpy())
    behind = into.axis - indices.shape[-1]  # the axes of data that are not indexed
    if behind >= 0:
        _recut(at, 2, indices.ndim - 1 + behind, into.merged)
        return
    ranks = len(at.old(data) or ()), len(at.old(updates) or ())
    if not (into.alone and of.alone) or not _names_one_sample(indices, into.axis, of.axis):
        return
    rest = np.delete(indices.squeeze(of.axis), into.axis, axis=-1)
    scattered = at.new(
        "ScatterND",
        at.new("Transpose", data, perm=_to_the_end(into.axis, ranks[0])),
        at.edit.constant(rest, f"{where.name}_of_all" if where is not None else ""),
        at.new("Transpose", updates, perm=_to_the_end(of.axis, ranks[1])),
        reduction=at.node.attributes.get_string("reduction", "none"),
    )
    at.node.op_type = "Transpose"
    at.node.resize_inputs(1)
    at.node.replace_input_with(0, scattered)
    at.node.attributes.clear()
    perm = np.argsort(_to_the_end(into.axis, ranks[0])).tolist()
    at.node.attributes.add(ir.AttrInt64s("perm", perm))


def _recut(at: Site, index: int, axis: int, merged: int = 1) -> None:
    """Let an input have its batch on another axis, where a reshape can do that.

    With a batch of 1, axes of size 1 may change places without notice, and so does a batch
    with what it is merged with.

    Args:
        at: The node.
        index: Which input.
        axis: Where its batch has to be.
        merged: How many numbers that axis counts for each sample.
    """
    value = at.input(index)
    place, shape = at.place(value), at.old(value)
    if value is None or place is None or shape is None or place.axis == axis:
        return
    for found in carried(place, shape, shape, at.batch):
        if found.axis == axis and found.merged == merged:
            sizes = [-1 if i == axis else size for i, size in enumerate(shape)]
            cut = at.new("Reshape", value, at.ints(sizes, f"{value.name}_sizes"))
            at.put(cut, found)
            at.node.replace_input_with(index, cut)
            return


def _names_one_sample(indices: Array, column: int, axis: int) -> bool:
    """Say whether `axis` of the indices counts samples, of which there is one, in `column`."""
    counted = axis < indices.ndim - 1 and indices.shape[axis] == 1
    return counted and 0 <= column < indices.shape[-1] > 1 and not indices[..., column].any()


def _to_the_end(axis: int, rank: int) -> list[int]:
    return [*(i for i in range(rank) if i != axis), axis]


@REPAIRS("LSTM", "GRU", "RNN")
def _recurrent(at: Site) -> None:
    x = at.input(0)
    for index in (5, 6):  # initial_h, initial_c
        state, place = at.input(index), at.place(x)
        if x is not None and state is not None and place is not None:
            axis = 0 if at.node.attributes.get_int("layout", 0) else 1
            _spread(at, index, axis, x, place)
            _recut(at, index, axis, place.merged)


def _spread_to_all(at: Site, indices: Iterable[int], but: int | None) -> None:
    """Repeat what has one sample for all samples that the others have, on their axis."""
    values = [at.input(index) for index in indices]
    model = next(((v, p) for v in values if v is not None and (p := at.place(v))), None)
    if model is None or model[1].axis == but:
        return
    for index, value in enumerate(values):
        if value is not None:
            _spread(at, index, model[1].axis, *model)


def _spread(at: Site, index: int, axis: int, like: ir.Value, place: Place) -> None:
    """Repeat an input that has one sample as often as `like` has samples."""
    value = at.input(index)
    shape = at.old(value)
    if value is None or at.place(value) is not None or shape is None or not place.alone:
        return
    if at.batch != 1 or axis >= len(shape) or shape[axis] != 1:
        return
    count = at.new("Shape", like, start=place.axis, end=place.axis + 1)
    name = f"{value.name}_ones"
    sides = [at.ints([1] * n, name) for n in (axis, len(shape) - axis - 1)]
    target = at.new("Concat", sides[0], count, sides[1], axis=0)
    spread = at.new("Expand", value, target)
    at.put(spread, Place(axis))
    at.node.replace_input_with(index, spread)
