"""The table ``channel-flow``: for every operator how channels flow through a node.

A rule says, for one node, which axes of its inputs and outputs count the same channels::

    @CHANNEL_FLOW("InstanceNormalization")
    def _instance_norm(at: Site) -> None:
        x, y = at.input(0), at.output()
        if x and y:
            at.same(x, 1, y, 1)

What a rule does not mention is never cut, and neither is what an operator without a rule reads
or gives.  A plugin offers ``Rule("channel-flow", "Rotary", function, domain="com.acme")``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from onnxpress.rules import RuleTable

if TYPE_CHECKING:
    from onnxpress.channels.site import Site

FlowRule: TypeAlias = "Callable[[Site], None]"
CHANNEL_FLOW: Final[RuleTable[FlowRule]] = RuleTable("channel-flow")
