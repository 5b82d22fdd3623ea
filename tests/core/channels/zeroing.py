"""The law of channels: cutting what is zero in all its slices makes no difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxpress.channels import Channels, Group, find_channels
from onnxpress.data.batch import Array
from onnxpress.graph.constants import constant_tensor, stored_values
from onnxpress.graph.model import Model

Removed: TypeAlias = Mapping[str, npt.NDArray[np.int64]]


def drawn(channels: Channels, share: float, seed: int = 0) -> Removed:
    """Return random channels of every group to remove; one stays at least, one goes."""
    rng = np.random.default_rng(seed)
    return {
        group.name: rng.permutation(group.size)[: _count(group, share)] for group in channels.groups
    }


def zeroed_and_cut(
    model: Model,
    share: float,
    *,
    seed: int = 0,
    split: Literal["channels", "heads"] = "channels",
    **options: Any,
) -> tuple[Model, Model, Channels, Removed]:
    """Return a model in which random channels are zero, and the same without them.

    Args:
        model: Any model.
        share: How much of every group.
        seed: Which.
        split: As for `find_channels`.
        options: Others of `find_channels`.
    """
    channels = find_channels(model, split=split, **options)
    removed = drawn(channels, share, seed)
    whole = zeroed(channels, removed)
    again = find_channels(whole, split=split, **options)
    assert [(g.name, g.size) for g in again.groups] == [(g.name, g.size) for g in channels.groups]
    return whole, again.cut(removed), again, removed


def zeroed(channels: Channels, removed: Removed) -> Model:
    """Return the model with zeros in all stored slices of some channels."""
    edit = channels.model.edit()
    stored = {value.name or "": value for value, _ in stored_values(channels.model.ir)}
    arrays: dict[str, Array] = {}
    for group in channels.groups:
        gone = np.zeros(group.size + 1, np.bool_)  # the last one for positions of no channel
        gone[removed[group.name]] = True
        for member in group.members:
            value = stored[member.tensor]
            if not _divides_or_picks(value):
                tensor = constant_tensor(value)
                assert tensor is not None
                array = arrays.setdefault(member.tensor, np.array(tensor.numpy()))
                np.moveaxis(array, member.axis, 0)[gone[member.channel]] = 0
    for name, array in arrays.items():
        _set(edit.copy_of(stored[name]), array)
    return edit.done()


def without(outputs: Mapping[str, Array], channels: Channels, removed: Removed) -> dict[str, Array]:
    """Return outputs without the positions of some channels."""
    left: dict[tuple[str, int], npt.NDArray[np.bool_]] = {}
    for group in channels.groups:
        gone = np.zeros(group.size + 1, np.bool_)
        gone[removed[group.name]] = True
        for member in group.activations:
            if member.tensor in outputs:
                key = member.tensor, member.axis
                stays = ~gone[member.channel]
                left[key] = left.get(key, np.ones_like(stays)) & stays
    smaller = dict(outputs)
    for (name, axis), stays in left.items():
        smaller[name] = np.compress(stays, smaller[name], axis)
    return smaller


def difference(got: Array, wanted: Array) -> float:
    """Return the largest difference as a share of the largest value; infinite for other shapes.

    What is not a number must not be one on both sides.
    """
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return float("inf")
    if got.dtype.kind != "f":
        return float(np.mean(got != wanted)) if got.size else 0.0
    finite = np.isfinite(wanted)
    if not np.array_equal(got[~finite], wanted[~finite], equal_nan=True):
        return float("inf")
    if not finite.any():
        return 0.0
    a, b = got[finite].astype(np.float64), wanted[finite].astype(np.float64)
    worst = float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-12))
    return worst if np.isfinite(worst) else float("inf")


def _count(group: Group, share: float) -> int:
    return min(max(round(group.size * share), 1), group.size - 1)


def _divides_or_picks(value: ir.Value) -> bool:
    """Say whether a tensor holds variances or indices: a zero there is no channel's end."""
    uses = value.uses()
    return all((n.op_type, i) in {("BatchNormalization", 4), ("Gather", 1)} for n, i in uses)


def _set(value: ir.Value, array: Array) -> None:
    node, tensor = value.producer(), ir.Tensor(array)
    if node is None:
        value.const_value = tensor
    else:
        node.attributes.clear()
        node.attributes.add(ir.AttrTensor("value", tensor))
