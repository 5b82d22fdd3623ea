"""Channel flow through reshapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxpress.channels.digits import Digit, blocks, digits
from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxpress.channels.labels import Ids
    from onnxpress.channels.site import Port, Site


@CHANNEL_FLOW("Reshape")
def _reshape(at: Site) -> None:
    x, target, y = at.input(0), at.input(1), at.output()
    if x is None or y is None:
        return
    rearrange(at, x, y)
    if target is not None:
        at.keep(target, 0, "it holds a shape")
        at.on_cut(lambda cut: cut.resize(at.node, 1, y))


@CHANNEL_FLOW("Flatten")
def _flatten(at: Site) -> None:
    x, y = at.input(0), at.output()
    if x is not None and y is not None:
        rearrange(at, x, y)


@CHANNEL_FLOW("Squeeze", "Unsqueeze")
def _squeeze(at: Site) -> None:
    """Let axes go with axes, in order; those of size 1 that come or go hold nothing to cut."""
    x, y = at.input(0), at.output()
    if x is None or y is None:
        return
    single = _squeezed(at, min(x, y, key=lambda p: p.rank), max(x, y, key=lambda p: p.rank))
    if single is None:
        return
    bigger, smaller = (x, y) if x.rank > y.rank else (y, x)
    rest = [axis for axis in range(bigger.rank) if axis not in single]
    for axis, other in zip(rest, range(smaller.rank), strict=True):
        at.same(bigger, axis, smaller, other)
    if at.node.op_type == "Squeeze" and not at.given(1):  # an axis may become one of size 1
        axes = np.array(sorted(single), np.int64)
        at.on_cut(lambda cut: cut.set_input(at.node, 1, axes) if cut.changes(x) else None)


def _squeezed(at: Site, smaller: Port, bigger: Port) -> set[int] | None:
    """Return the axes that come or go; None if they are not known."""
    given = at.integers("axes")
    if given is None:
        array = at.array(1)
        given = None if array is None else [int(n) for n in array.reshape(-1)]
    if given is None:
        given = [i for i, n in enumerate(bigger.sizes) if n == 1]
    axes = {axis % bigger.rank for axis in given}
    return axes if len(axes) == bigger.rank - smaller.rank else None


@CHANNEL_FLOW("Transpose")
def _transpose(at: Site) -> None:
    x, y = at.input(0), at.output()
    if x is None or y is None:
        return
    perm = at.integers("perm") or range(x.rank)[::-1]
    for axis, source in enumerate(perm):
        at.same(x, source, y, axis)


@CHANNEL_FLOW("DepthToSpace", "SpaceToDepth")
def _depth_to_space(at: Site) -> None:
    """Let the channels that become one channel's pixels be cut together."""
    deep, wide = at.input(0), at.output()
    if at.node.op_type == "SpaceToDepth":
        deep, wide = wide, deep
    if deep is None or wide is None or deep.sizes[1] is None or wide.sizes[1] is None:
        return
    at.same(deep, 0, wide, 0)
    channels, outer = wide.sizes[1], at.text("mode", "DCR") == "DCR"
    # DCR: (block, block, channel), as in SpaceToDepth; CRD: (channel, block, block)
    if at.node.op_type == "SpaceToDepth" or outer:
        digit = Digit(1, 1, channels, 1, 1)
    else:
        digit = Digit(1, 1, channels, deep.sizes[1] // channels, 1)
    shared = at.fresh(channels)
    at.digit(deep, 1, digit.on_before(deep.sizes[1]), shared)
    at.digit(wide, 1, digit.on_after(channels), shared)


def rearrange(at: Site, x: Port, y: Port) -> None:
    """Let positions go with positions of the same digits.

    Of several axes that become one, or one that becomes several, one digit can be cut; the last
    one is tried first, or the one before it where heads are wanted.
    """
    found = [blocks(*shapes) for shapes in zip(x.shapes, y.shapes, strict=True)]
    if found[0] is None or found[0] != found[1]:
        return
    for block in found[0]:
        before, after = block
        if len(before) == len(after) == 1:
            at.same(x, before[0], y, after[0])
        else:
            both = [digits(*s, block) for s in zip(x.shapes, y.shapes, strict=True)]
            _choose(at, x, y, [d for d in both[0] if d in both[1] and _can_cut(at, d, x, y)])


def _can_cut(at: Site, digit: Digit, x: Port, y: Port) -> bool:
    """Say whether a digit can be cut: axes of any size must repeat, and follow by themselves."""
    if x.sizes[digit.before] is None and at.flow.ids(x, digit.before) is None:
        return False
    return y.sizes[digit.after] is not None or _follows(at, y, digit.after)


def _follows(at: Site, y: Port, axis: int) -> bool:
    """Say whether a Reshape may leave it to the runtime how long an axis is: -1 in its target."""
    if at.node.op_type != "Reshape":
        return False
    array = at.array(1)
    if array is not None:
        return not (np.delete(array, axis) == -1).any()
    maker = at.node.inputs[1].producer() if at.node.inputs[1] is not None else None
    if maker is None or maker.op_type != "Concat" or len(maker.inputs) != y.rank:
        return False
    parts = [at.flow.known.array(part) for i, part in enumerate(maker.inputs) if i != axis]
    return not any(part is not None and (part == -1).any() for part in parts)


def _choose(at: Site, x: Port, y: Port, found: Sequence[Digit]) -> None:
    order = [*found[1:], *found[:1]] if at.flow.heads_first else found
    at.choose([lambda d=digit: _cut_digit(at, x, y, d) for digit in order])  # type: ignore[misc]


def _cut_digit(at: Site, x: Port, y: Port, digit: Digit) -> Ids:
    shared = at.fresh(digit.count)
    size_before, size_after = x.sizes[digit.before], y.sizes[digit.after]
    if size_before is None:
        at.repeat(x, digit.before, digit.on_before(digit.step_before * digit.count), shared)
    else:
        at.digit(x, digit.before, digit.on_before(size_before), shared)
    if size_after is None:
        at.repeat(y, digit.after, digit.on_after(digit.step_after * digit.count), shared)
    else:
        at.digit(y, digit.after, digit.on_after(size_after), shared)
    return shared
