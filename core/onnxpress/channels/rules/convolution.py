"""Channel flow through convolutions.

A grouped convolution divides its channels into groups of the same size.  Either the same
channels of every group are cut, or whole groups are; a depthwise one loses whole groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from onnxpress.channels.cut import Cut
    from onnxpress.channels.labels import Ids
    from onnxpress.channels.site import Port, Site


@CHANNEL_FLOW("Conv")
def _conv(at: Site) -> None:
    # weight: output channels, input channels of one group, then the window
    _convolve(at, at.output(), at.input(0))


@CHANNEL_FLOW("ConvTranspose")
def _conv_transpose(at: Site) -> None:
    # weight: input channels, output channels of one group, then the window
    _convolve(at, at.input(0), at.output())


def _convolve(at: Site, first: Port | None, second: Port | None) -> None:
    """Let channels go through a convolution.

    Args:
        at: The node.
        first: The tensor whose channels the first axis of the weight counts.
        second: The tensor whose channels of one group the second axis counts.
    """
    weight, bias, y = at.input(1), at.input(2), at.output()
    if first is None or second is None or weight is None or y is None:
        return
    _windows(at, weight)
    if bias is not None:
        at.same(bias, 0, y, 1)
    at.same(weight, 0, first, 1)
    groups = at.integer("group", 1)
    if groups == 1:
        at.same(weight, 1, second, 1)
    else:
        _grouped(at, groups, [second, first], weight, 1, second.sizes[1])


def _windows(at: Site, weight: Port) -> None:
    """Keep windows whole."""
    for axis in range(2, weight.rank):
        at.keep(weight, axis, f"{at.label} has a window of that size")


def _grouped(
    at: Site, groups: int, sides: list[Port], weight: Port, axis: int, inner: int | None
) -> None:
    """Let channels on both sides of a grouped convolution be cut.

    Args:
        at: The node.
        groups: How many groups it has.
        sides: The tensor whose channels of one group `axis` of the weight counts, and the other.
        weight: The weight.
        axis: That axis.
        inner: How many channels the first of `sides` has.
    """
    if inner is None or any(side.sizes[1] is None for side in sides):
        return

    def whole_groups() -> Ids:
        at.keep(weight, axis, f"{at.label} has groups of that size")
        shared = at.fresh(groups)
        for side in sides:
            size = side.sizes[1] or 0
            at.digit(side, 1, np.arange(size) // (size // groups), shared)
        return shared

    def within_groups() -> Ids:
        own = [at.fresh((side.sizes[1] or 0) // groups) for side in sides]
        for side, shared in zip(sides, own, strict=True):
            if shared.size > 1:
                at.digit(side, 1, np.arange(side.sizes[1] or 0) % shared.size, shared)
            else:
                at.keep(side, 1, f"{at.label} has one channel in every group")
        at.digit(weight, axis, np.arange(own[0].size), own[0])
        return np.concatenate(own)

    one_each = [side.sizes[1] == groups for side in sides]
    if any(one_each):
        at.choose([whole_groups] if all(one_each) else [whole_groups, within_groups])
    else:
        at.choose([within_groups, whole_groups])

    def fix(cut: Cut) -> None:
        if cut.changes(weight, axis) or not cut.changes(sides[0], 1):
            return
        kept = cut.left(sides[0], 1) * groups // inner
        cut.set_integer(at.node, "group", kept)

    at.on_cut(fix)
