"""Channel groups: what must be cut together so that a graph stays whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from onnxpress.channels.labels import Ids

Side: TypeAlias = Literal["output", "input", "other"]


@dataclass(frozen=True, eq=False, slots=True)
class Member:
    """An axis of a tensor on which the channels of a group lie.

    Attributes:
        tensor: The name of the tensor.
        axis: Which of its axes.
        channel: The channel of the group at each position on the axis, -1 where there is none.
        layer: The layer that reads the tensor, if one does.
        side: Whether the axis counts what that layer gives (``output``), what it reads
            (``input``), or neither.
    """

    tensor: str
    axis: int
    channel: Ids
    layer: str = ""
    side: Side = "other"

    @property
    def positions(self) -> int:
        """How many positions on the axis belong to the group."""
        return int(np.count_nonzero(self.channel >= 0))


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    """Channels that lie on the same axes: any of them can be cut, each with all its slices.

    Attributes:
        name: The first layer that gives them, numbered where one layer has several groups.
        size: The number of channels.
        members: Stored tensors, in graph order.
        activations: Computed tensors, in graph order.
        heads: Whether its channels are attention heads.
    """

    name: str
    size: int
    members: tuple[Member, ...]
    activations: tuple[Member, ...]
    heads: bool = False

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that lose something when a channel is cut, in graph order."""
        return tuple(dict.fromkeys(m.layer for m in self.members if m.layer))

    @property
    def producers(self) -> tuple[str, ...]:
        """The layers whose outputs these channels are."""
        outputs = (m.layer for m in self.members if m.side == "output" and m.layer)
        return tuple(dict.fromkeys(outputs))

    @property
    def multiple(self) -> int:
        """How many positions one channel takes where it is made: 1, or a head's dimensions."""
        made = self.activations or self.members
        return max(made[0].positions // self.size, 1)


@dataclass(frozen=True, slots=True)
class Kept:
    """Channels that are never cut.

    Attributes:
        name: The layer that gives them, or the first tensor that they lie on.
        size: How many.
        layers: The layers that read or give them.
        reason: Why, in words for a user.
    """

    name: str
    size: int
    layers: tuple[str, ...]
    reason: str
