"""Channel groups: which slices of which tensors must be cut together, in any graph."""

from __future__ import annotations

from onnxpress.channels.find import Channels, find_channels
from onnxpress.channels.group import Group, Kept, Member
from onnxpress.channels.site import Port, Site
from onnxpress.channels.table import CHANNEL_FLOW, FlowRule

__all__ = [
    "CHANNEL_FLOW",
    "Channels",
    "FlowRule",
    "Group",
    "Kept",
    "Member",
    "Port",
    "Site",
    "find_channels",
]
