"""Which positions of which tensors a cut leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnxpress.channels import Group
    from onnxpress.graph.layers import Layer

Flags: TypeAlias = npt.NDArray[np.bool_]
Axes: TypeAlias = Mapping[tuple[str, int], Flags]
"""By the name of a tensor and an axis of it: which positions are left; all of others are."""


def kept_positions(
    groups: Iterable[Group], removed: Mapping[str, Sequence[int] | npt.NDArray[np.integer]]
) -> Axes:
    """Return what is left of tensors when channels are cut.

    Args:
        groups: The channel groups of the model as it was.
        removed: Which channels of a group go, by the name of the group.
    """
    axes: dict[tuple[str, int], Flags] = {}
    for group in (group for group in groups if group.name in removed):
        gone = np.zeros(group.size + 1, np.bool_)  # the last is for positions of other groups
        gone[np.asarray(removed[group.name], np.int64)] = True
        for member in (*group.members, *group.activations):
            key, stays = (member.tensor, member.axis), ~gone[member.channel]
            axes[key] = axes[key] & stays if key in axes else stays
    return axes


def kept_outputs(layer: Layer, axes: Axes) -> Flags | None:
    """Return which output channels of a layer of the original are left; None for all."""
    weight = layer.weight
    return None if weight.output_axis is None else axes.get((weight.name, weight.output_axis))
