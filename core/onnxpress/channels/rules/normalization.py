"""Channel flow through normalisations.

Those that keep a mean for every channel lose a channel without a trace.  Those that take one
over channels (LayerNormalization and its kin) go on with the mean over what is left, which stands
for the mean over all; but if everything that goes is zero, they still see the zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.channels.site import axis_of
from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from onnxpress.channels.cut import Cut
    from onnxpress.channels.labels import Flags, Ids
    from onnxpress.channels.site import Port, Site


@CHANNEL_FLOW("BatchNormalization")
def _batch_norm(at: Site) -> None:
    x, y = at.input(0), at.output()
    if x is None or y is None:
        return
    at.elementwise([x], y)
    channels = [at.input(i) for i in (1, 2, 3, 4)] + [at.output(i) for i in (1, 2)]
    for port in channels:
        if port is not None and x.rank > 1:
            at.same(port, 0, x, 1)


@CHANNEL_FLOW("InstanceNormalization")
def _instance_norm(at: Site) -> None:
    """Let channels be cut, and also what a reshape put among the pixels: PyTorch's GroupNorm."""
    x, y = at.input(0), at.output()
    if x is None or y is None:
        return
    at.elementwise([x], y)
    for port in (at.input(1), at.input(2)):
        if port is not None:
            at.same(port, 0, y, 1)
    at.on_cut(lambda cut: _see_zeros(at, cut, x, range(2, x.rank), {}))


@CHANNEL_FLOW("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
def _layer_norm(at: Site) -> None:
    x, y = at.input(0), at.output()
    if x is None or y is None:
        return
    first = axis_of(at.integer("axis", -1), x)
    at.elementwise([x], y)
    vectors = {i: port for i in (1, 2) if (port := at.input(i)) is not None}
    for port in vectors.values():
        at.broadcast(port, y)
    for statistic in (at.output(1), at.output(2)):
        if statistic is not None:
            at.elementwise([statistic], y)
    begins = {i: x.rank - port.rank for i, port in vectors.items()}
    at.on_cut(lambda cut: _see_zeros(at, cut, x, range(first, x.rank), begins))


@CHANNEL_FLOW("GroupNormalization", since=21)
def _group_norm(at: Site) -> None:
    x, y = at.input(0), at.output()
    if x is None or y is None or x.sizes[1] is None:
        return
    at.same(x, 0, y, 0)
    at.same(x, 1, y, 1)
    for port in (at.input(1), at.input(2)):
        if port is not None:
            at.same(port, 0, y, 1)
    groups, channels = at.integer("num_groups", 1), x.sizes[1]

    def within_groups() -> Ids:
        shared = at.fresh(channels // groups)
        at.digit(x, 1, np.arange(channels) % shared.size, shared)
        return shared

    def whole_groups() -> Ids:
        shared = at.fresh(groups)
        at.digit(x, 1, np.arange(channels) // (channels // groups), shared)
        return shared

    one_each, one_group = channels == groups, groups == 1
    if not one_group:
        at.choose([whole_groups] if one_each else [within_groups, whole_groups])

    def fix(cut: Cut) -> None:
        kept = cut.kept(x, 1).reshape(groups, -1)
        whole = kept.any(axis=1)
        if whole.all():
            _see_zeros(at, cut, x, [1], {1: 1, 2: 1})
        else:
            cut.set_integer(at.node, "num_groups", int(whole.sum()))

    at.on_cut(fix)


@CHANNEL_FLOW("LpNormalization")
def _lp_norm(at: Site) -> None:
    at.elementwise([at.input(0)], at.output())


def _see_zeros(
    at: Site, cut: Cut, x: Port, axes: Sequence[int], vectors: Mapping[int, int]
) -> None:
    """Let a normalisation see zeros where channels were that were zero all along.

    Before it, channels come back as zeros; behind it, they go again.

    Args:
        at: The normalisation.
        cut: The cut.
        x: What is normalised.
        axes: The axes over which means are taken.
        vectors: For inputs that hold scales and biases, the axis of `x` that their first one is.
    """
    dead = {i: cut.kept(x, i) for i in axes if cut.changes(x, i) and cut.dead(x, i)}
    for axis, kept in dead.items():
        node = cut.node(at.node)
        pads = np.zeros(2 * x.rank, np.int64)
        pads[x.rank + axis] = 1  # a zero behind the last
        padded = cut.insert_before(at.node, "Pad", [node.inputs[0], pads], {})
        back = np.where(kept, np.cumsum(kept) - 1, np.count_nonzero(kept))
        whole = cut.insert_before(at.node, "Gather", [padded, back], {"axis": axis})
        node.replace_input_with(0, whole)
        cut.insert_after(at.node, "Gather", [np.flatnonzero(kept)], {"axis": axis})
    for index, first in vectors.items():
        _restore(at, cut, index, {axis - first: kept for axis, kept in dead.items()})


def _restore(at: Site, cut: Cut, index: int, dead: Mapping[int, Flags]) -> None:
    """Give scales or biases as many elements as before along axes where zeros came back."""
    port, array = at.input(index), at.array(index)
    if port is None or not any(i in dead and cut.changes(port, i) for i in range(port.rank)):
        return
    if array is not None:
        for axis in (i for i in range(port.rank) if i not in dead):
            array = np.compress(cut.kept(port, axis), array, axis)
        cut.set_input(at.node, index, array)
        return
    # What zeros are multiplied by does not matter: the first element stands in.
    for axis, kept in ((i, dead[i]) for i in range(port.rank) if i in dead):
        node = cut.node(at.node)
        back = np.where(kept, np.cumsum(kept) - 1, 0)
        whole = cut.insert_before(at.node, "Gather", [node.inputs[index], back], {"axis": axis})
        node.replace_input_with(index, whole)
