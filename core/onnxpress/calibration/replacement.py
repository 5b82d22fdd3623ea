"""Mean replacement: what was pruned gives its expected value from now on, told without data."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress.calibration.compensation import only_normalised, shifted
from onnxpress.calibration.expected import Expectation
from onnxpress.calibration.kept import Axes, Flags, kept_outputs
from onnxpress.calibration.shift import PLAIN, shifted_output, why_not_shifted
from onnxpress.graph.layer_rules import integer

if TYPE_CHECKING:
    from onnxpress.calibration.moments import Vector
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight
    from onnxpress.job import Job

_LINEAR: Final = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_NOT_REPLACED: Final = "what it lost is not replaced by its mean"


def replace_means(original: Model, pruned: Model, job: Job, *, kept: Axes | None = None) -> Model:
    """Add to biases what pruned weights gave on average, without data.

    For every layer, ``b ← b + (W - W') · E[x]`` (Nagel et al. 2019, arXiv 1906.04721, section
    4.2.1), where W' are the weights that are left, zero where channels are gone, and E[x] is
    told from the batch normalisation before; see `expected_activation`.  It is exact for
    inputs that never change, but for the positions that see padding.  What is not known is
    taken for unchanged, and declined.

    Args:
        original: The model as it was.
        pruned: The model to correct, with fewer channels or other weights.
        job: Told of what changed, and of what stays as it is.
        kept: What is left of the original's tensors, see `kept_positions`; needed for layers
            that have fewer channels.

    Returns:
        A new model; `pruned` itself where there is nothing to correct.
    """
    before = {layer.name: layer for layer in original.layers}
    known = Expectation(original)
    deltas: dict[str, Vector] = {}
    for layer in pruned.layers:
        old = before.get(layer.name)
        if layer.op_type in _LINEAR and old is not None and not old.calls:
            _add(deltas, _lost(known, old, layer, kept or {}, job), layer, pruned, job)
    return shifted(pruned, deltas, job)


def _add(
    deltas: dict[str, Vector], lost: Vector | None, layer: Layer, pruned: Model, job: Job
) -> None:
    """Note what to add to a layer, or to the normalisations that alone read it."""
    if lost is None or not lost.any():
        return
    takers = [(layer, lost)]
    if only_normalised(layer):
        nodes = {node for node, _ in shifted_output(layer).uses()}
        norms = [norm for norm in pruned.layers if norm.node in nodes]
        takers = [(norm, lost * _slope(norm)) for norm in norms]
    for taker, delta in takers:
        if reason := why_not_shifted(pruned, taker):
            job.decline(taker.name, f"{_NOT_REPLACED}: {reason}")
        elif np.isnan(delta).any():
            job.decline(taker.name, f"{_NOT_REPLACED}: its scale or variance is computed")
        else:
            deltas[taker.name] = deltas.get(taker.name, 0) + delta


def _slope(norm: Layer) -> Vector:
    """Return what a normalisation multiplies its channels by; NaN if that is computed."""
    arrays = {w.role: w.array().astype(np.float64) for w in norm.weights}
    if not {"scale", "variance"} <= arrays.keys():
        return np.full(1, np.nan)
    deviation = np.sqrt(arrays["variance"] + norm.node.attributes.get_float("epsilon", 1e-5))
    slope: Vector = arrays["scale"] / deviation
    return slope


def _lost(known: Expectation, old: Layer, new: Layer, kept: Axes, job: Job) -> Vector | None:
    """Return what the outputs of a layer that are left lack on average; None for nothing."""
    flags = _flags(old.weight, kept)
    if reason := _why_unknown(old, new, flags):
        job.decline(new.name, f"{_NOT_REPLACED}: {reason}")
        return None
    change = _by_group(old, _change(old, new, flags))
    if not change.any():
        return None
    means = _means(known, old, change.shape[0] * change.shape[2])
    used = change.any(1).reshape(-1)
    if unknown := int(np.count_nonzero(used & np.isnan(means))):
        job.decline(
            new.name,
            f"{_NOT_REPLACED}: without data, the mean of {unknown} of the {used.sum()} inputs "
            "whose weights changed is not known",
        )
    flat = np.nan_to_num(means).reshape(change.shape[0], -1)
    lost: Vector = np.einsum("goi,gi->go", change, flat).reshape(-1)
    stays = kept_outputs(old, kept)
    return lost if stays is None or stays.size != lost.size else lost[stays]


def _means(known: Expectation, layer: Layer, size: int) -> Vector:
    """Return the expected inputs of a layer, NaN where they are not known."""
    value = layer.node.inputs[0]
    assert value is not None
    found, shape = known.spread(value.name or ""), known.shape(value)
    axis = 0 if integer(layer.node, "transA", 0) else 1
    if layer.op_type == "MatMul":
        axis = len(shape or ()) - 1
    if found is None or found.axis != axis or found.mean.size != size:
        return np.full(size, np.nan)
    return found.mean


def _flags(weight: Weight, kept: Axes) -> list[Flags]:
    """Return for every axis of a stored tensor which positions are left."""
    return [
        kept.get((weight.name, axis), np.ones(size, np.bool_))
        for axis, size in enumerate(weight.shape)
    ]


def _why_unknown(old: Layer, new: Layer, flags: list[Flags]) -> str | None:
    """Say why it can't be told what the weights of a layer lost."""
    weight, left = old.weight, tuple(int(np.count_nonzero(flag)) for flag in flags)
    if weight.precision not in PLAIN or new.weight.precision not in PLAIN:
        return "it is quantized"
    if old.node.inputs[0] is weight.used_as or None in {weight.output_axis, weight.input_axis}:
        return "its weight is not the right factor of a product"
    if old.op_type in {"Gemm", "MatMul"} and len(weight.shape) > 2:  # noqa: PLR2004
        return "its weight holds several matrices"
    if left != new.weight.shape:
        return f"it has {new.weight.shape} of {weight.shape} weights, and it is not said which"
    return None


def _change(old: Layer, new: Layer, flags: list[Flags]) -> Vector:
    """Return the weights less those that are left; zero for outputs that are gone."""
    change = np.array(old.weight.array(), np.float64)
    change[np.ix_(*flags)] -= new.weight.array()
    axis = old.weight.output_axis
    assert axis is not None
    shape = [-1 if i == axis else 1 for i in range(change.ndim)]
    return np.asarray(change * flags[axis].reshape(shape))


def _by_group(layer: Layer, change: Vector) -> Vector:
    """Sum over the kernel; return the axes groups, outputs and inputs of a group."""
    weight, groups, node = layer.weight, layer.groups, layer.node
    assert weight.output_axis is not None
    assert weight.input_axis is not None
    rest = tuple({*range(change.ndim)} - {weight.output_axis, weight.input_axis})
    summed = change.sum(rest)
    matrix = summed if weight.output_axis < weight.input_axis else summed.T
    if layer.op_type == "ConvTranspose":  # a kernel position meets one input in so many
        strides = node.attributes.get("strides")
        share = 1 if strides is None else prod(strides.as_ints())
        return np.asarray(matrix.reshape(len(matrix), groups, -1).transpose(1, 0, 2) / share)
    alpha = node.attributes.get_float("alpha", 1.0) if layer.op_type == "Gemm" else 1.0
    return np.asarray(alpha * matrix.reshape(groups, -1, matrix.shape[1]))
