"""Channel flow through quantizers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxpress.channels.site import axis_of
from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from onnxpress.channels.site import Site


@CHANNEL_FLOW("DequantizeLinear", "QuantizeLinear")
@CHANNEL_FLOW("DequantizeLinear", "QuantizeLinear", domain="com.microsoft")
def _quantizer(at: Site) -> None:
    """Let scales go with what they scale; blocks of an axis that share one stay whole."""
    x, y = at.input(0), at.output()
    if x is None or y is None:
        return
    along = axis_of(at.integer("axis", 1), x)
    blocked = at.integer("block_size", 0) > 0
    for axis in range(x.rank):
        if not (blocked and axis == along):
            at.same(x, axis, y, axis)
    for side in (at.input(1), at.input(2)):
        if side is None:
            continue
        if blocked and side.rank == x.rank:
            for axis in (i for i in range(x.rank) if i != along):
                at.same(side, axis, x, axis)
        elif side.rank == 1 and side.sizes[0] == x.sizes[along]:
            at.same(side, 0, x, along)


@CHANNEL_FLOW("DynamicQuantizeLinear")
def _dynamic(at: Site) -> None:
    at.elementwise([at.input(0)], at.output())
