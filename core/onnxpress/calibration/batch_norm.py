"""Running statistics of batch normalisations, measured anew for the network as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.calibration.levels import levels_of
from onnxpress.calibration.moments import Moments, Vector, measure_moments, run_reductions
from onnxpress.calibration.reductions import Reduced, reduce_channels
from onnxpress.graph.constants import FLOATS, type_name
from onnxpress.graph.types import UNKNOWN

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Data
    from onnxpress.graph.edit import Editor
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight
    from onnxpress.job import Job

Order: TypeAlias = Literal["auto", "together", "in-turn"]

BATCH_NORM: Final = "BatchNormalization"
_CHANNELS: Final = 1  # the axis that BatchNormalization counts channels on
_FEW: Final = 16  # elements of a channel in one batch
_MEAN: Final = 3  # inputs of BatchNormalization
_VARIANCE: Final = 4


def reestimate_batch_norm(model: Model, data: Data, job: Job, *, order: Order = "auto") -> Model:
    """Measure running mean and variance of every BatchNormalization anew.

    The variance is that of the population (divided by the count of elements), as ONNX
    defines it; PyTorch keeps n / (n - 1) times that of a batch.

    Args:
        model: The network as it is now, for example after weights were pruned.
        data: What to feed; a few hundred samples do.
        job: Told of progress, of what changed, and of the normalisations that stay as they are.
        order: ``"together"`` goes through the data once: every normalisation uses the
            statistics of the batch at hand, and so sees what those before it give when they
            are right.  ``"in-turn"`` goes through the data for each normalisation that lies
            behind others, up to there: every one sees what those before it will give, however
            small batches are.  ``"auto"`` is together, but in turn where batches bring some
            normalisation fewer than 16 elements of a channel.

    Returns:
        A new model; `model` itself where there is nothing to measure.

    Raises:
        DataError: If there is no data, or a tensor holds NaN or infinite values.
    """
    names = list(measurable(model, job))
    if not names:
        return model
    if order != "in-turn":
        found = _by_batch(model, names, data, job)
        if order == "together" or not too_few(found):
            return with_statistics(model, _statistics_of(found), job)
    for level in levels_of(model.ir.graph, [_output(model, name) for name in names]):
        now = [name for name in names if _output(model, name) in level]
        model = with_statistics(model, _statistics_of(_as_it_is(model, now, data, job)), job)
    return model


def measurable(model: Model, job: Job) -> dict[str, Layer]:
    """Return the normalisations whose statistics can be replaced; decline the others."""
    norms = [layer for layer in model.layers if layer.op_type == BATCH_NORM]
    found: dict[str, Layer] = {}
    for layer in norms:
        if reason := _refusal(model, layer):
            job.decline(layer.name, f"its running statistics stay as they are: {reason}")
        else:
            found[layer.name] = layer
    return found


def _refusal(model: Model, layer: Layer) -> str | None:
    statistics = _statistics(layer)
    if layer.calls or layer.node.graph is not model.ir.graph:
        return "it runs inside a function or a subgraph"
    if layer.node.attributes.get_int("training_mode", 0):
        return "it normalises by the batch at hand"
    if len(statistics) < 2:  # noqa: PLR2004  # a mean and a variance
        return "they are computed, or callers may override them"
    between = {node.op_type for weight in statistics for node in weight.path}
    if between - {"Identity"} or any(weight.dtype not in FLOATS for weight in statistics):
        return "they are not stored as the floats that it reads"
    return None


def _statistics(layer: Layer) -> list[Weight]:
    return [weight for weight in layer.weights if weight.role in {"mean", "variance"}]


def _output(model: Model, name: str) -> str:
    return _layer(model, name).node.outputs[0].name or ""


def _layer(model: Model, name: str) -> Layer:
    return next(layer for layer in model.layers if layer.name == name)


def _as_it_is(model: Model, names: list[str], data: Data, job: Job) -> dict[str, Moments]:
    """Measure what goes into some normalisations of the network as it is."""
    inputs = {name: _layer(model, name).node.inputs[0] for name in names}
    tensors = {value.name or "": _CHANNELS for value in inputs.values() if value is not None}
    moments = measure_moments(model, tensors, data, job, "re-estimating")
    return {name: moments[value.name or ""] for name, value in inputs.items() if value is not None}


def _statistics_of(found: Mapping[str, Moments]) -> dict[str, Statistics]:
    return {name: Statistics(m.mean, m.variance, m.count) for name, m in found.items()}


def too_few(found: Mapping[str, Moments]) -> bool:
    """Say whether batches hold too few elements of some channel to tell its variance."""
    return any(moments.count < _FEW * moments.batches for moments in found.values())


def _by_batch(model: Model, names: list[str], data: Data, job: Job) -> dict[str, Moments]:
    """Measure what goes into normalisations that all use the statistics of the batch."""
    edit = model.edit()
    edit.graph.outputs.clear()
    nodes = {layer.name: layer.node for layer in edit.layers if layer.name in {*names}}
    reductions = {name: _normalise_by_batch(edit, node, model) for name, node in nodes.items()}
    edit.graph.sort()
    return run_reductions(edit.done(), reductions, data, job, "re-estimating")


def _normalise_by_batch(edit: Editor, node: ir.Node, model: Model) -> Reduced:
    """Let a normalisation use the mean and variance of what it reads, computed by the graph."""
    x = node.inputs[0]
    assert x is not None
    reduced = reduce_channels(edit, x, _CHANNELS, model.types.get(x.name or "", UNKNOWN))
    for index, value in ((_MEAN, reduced.mean), (_VARIANCE, reduced.variance)):
        old = node.inputs[index]
        cast = edit.node("CastLike", [value, old], f"{value.name}:as stored")
        edit.graph.append(cast)
        node.replace_input_with(index, cast.outputs[0])
    return reduced


class Statistics(NamedTuple):
    """What a normalisation takes for the mean and variance of its channels.

    Attributes:
        mean: Of each channel.
        variance: Of each channel.
        elements: From how many elements of a channel they were measured.
    """

    mean: Vector
    variance: Vector
    elements: int = 0


def stored_statistics(layer: Layer) -> Statistics:
    """Return the running statistics that are stored for a normalisation."""
    mean, variance = (np.asarray(w.array(), np.float64) for w in _statistics(layer))
    return Statistics(mean, variance)


def with_statistics(model: Model, found: Mapping[str, Statistics], job: Job) -> Model:
    """Return a model whose normalisations, by name, have the statistics that were found."""
    if not found:
        return model
    edit = model.edit()
    for layer in (layer for layer in edit.layers if layer.name in found):
        new = found[layer.name]
        pairs = list(zip(_statistics(layer), (new.mean, new.variance), strict=True))
        arrays = [_as_stored(values, weight) for weight, values in pairs]
        if not all(np.isfinite(array).all() for array in arrays):
            kind = type_name(pairs[0][0].dtype)
            job.decline(layer.name, f"its running statistics do not fit into {kind}, as stored")
            continue
        for index, (weight, _), array in zip((_MEAN, _VARIANCE), pairs, arrays, strict=True):
            _store(edit, layer.node, index, weight, array)
        job.change(layer.name, batch_norm="re-estimated", elements=new.elements)
    return edit.done()


def _as_stored(values: Vector, weight: Weight) -> Array:
    with np.errstate(over="ignore"):
        return values.astype(weight.array().dtype).reshape(weight.shape)


def _store(edit: Editor, node: ir.Node, index: int, weight: Weight, array: Array) -> None:
    """Replace a tensor, or give the node one of its own if others read that one too."""
    if weight.path or len(weight.value.uses()) > 1:
        node.replace_input_with(index, edit.constant(array, f"{weight.name}:own"))
    else:
        edit.set_weight(weight, array)
