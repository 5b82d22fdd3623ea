"""Biases that give layers the mean outputs back which they had in another model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.calibration.batch_norm import (
    BATCH_NORM,
    measurable,
    too_few,
    with_statistics,
)
from onnxpress.calibration.kept import Axes, kept_outputs
from onnxpress.calibration.levels import levels_of
from onnxpress.calibration.moments import (
    Vector,
    measure_moments,
)
from onnxpress.calibration.pair import Pair, Target, moved_statistics
from onnxpress.calibration.shift import (
    channel_axis,
    shift,
    shifted_output,
    why_not_shifted,
)
from onnxpress.graph.types import UNKNOWN

if TYPE_CHECKING:
    from onnxpress.data.batch import Data
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model
    from onnxpress.job import Job


def compensate(
    original: Model,
    pruned: Model,
    data: Data,
    job: Job,
    *,
    kept: Axes | None = None,
    batch_norm: bool = False,
    bias: bool = True,
) -> Model:
    """Correct the biases of a pruned model so that mean outputs are those of the original.

    For every layer and output channel, ``b ← b + E[original output] - E[pruned output]``
    (empirical bias correction, Nagel et al. 2019, arXiv 1906.04721, section 4.2 and appendix
    D).  A layer sees inputs that are corrected already: both models go through the data once,
    side by side, and in every batch each output of the pruned one is moved to the mean that
    the original has in that batch before the next layer reads it.

    With `batch_norm`, a batch normalisation takes up what changed in its input by its running
    statistics: mean m and variance v became m' and v', so ``μ ← m' - (m - μ) √(v' / v)`` and
    ``σ² ← σ² v' / v``, and what it gives has the mean and the variance that it had.  Unlike
    `reestimate_batch_norm`, this does not undo the difference between the data it was trained
    on, augmented as it was, and the data here.

    Layers correspond by name.  One that only batch normalisations read is left alone: they
    have biases of their own.  A layer without a bias gets one.

    Args:
        original: The model as it was.
        pruned: The model to correct, with fewer channels or with weights at zero.
        data: What to feed; a few hundred samples do.
        job: Told of progress, of what changed, and of what stays as it is.
        kept: What is left of the original's tensors, see `kept_positions`; needed for layers
            that have fewer channels.
        batch_norm: Whether batch normalisations get other running statistics, instead of
            other biases.  Where batches hold fewer than 16 elements of a channel, the data is
            gone through for each normalisation that lies behind others.
        bias: Whether biases are corrected.

    Returns:
        A new model; `pruned` itself where there is nothing to correct.

    Raises:
        DataError: If there is no data, or a tensor holds NaN or infinite values.
    """
    norms = _norms(original, pruned, kept or {}, job) if batch_norm else []
    biases = _targets(original, pruned, {t.name for t in norms}, kept or {}, job) if bias else []
    if not norms and not biases:
        return pruned
    pair = Pair(original, pruned, [*norms, *biases])
    pair.run(data, job)
    if not too_few({target.name: pair.after[target.name] for target in norms}):
        return shifted(with_statistics(pruned, pair.statistics(), job), pair.shifts(), job)
    settled = _in_turn(original, pruned, norms, data, job)
    pair = Pair(original, settled, biases)
    if biases:
        pair.run(data, job)
    return shifted(settled, pair.shifts(), job)


def _in_turn(original: Model, model: Model, norms: list[Target], data: Data, job: Job) -> Model:
    """Replace running statistics one after the other, from all data instead of each batch."""
    before = measure_moments(original, {t.before: t.axis for t in norms}, data, job)
    nodes = {layer.name: layer.node for layer in model.layers}
    outputs = {nodes[t.name].outputs[0].name or "": t for t in norms}
    for level in levels_of(model.ir.graph, outputs):
        now = [outputs[name] for name in sorted(level)]
        after = measure_moments(model, {t.after: t.axis for t in now}, data, job)
        found = {
            t.name: moved_statistics(t.norm, before[t.before].only(t.kept), after[t.after])
            for t in now
            if t.norm is not None
        }
        model = with_statistics(model, found, job)
    return model


def shifted(model: Model, deltas: Mapping[str, Vector], job: Job) -> Model:
    """Return a model with `deltas` added to the outputs of layers, by their names."""
    if not deltas:
        return model
    edit = model.edit()
    for layer in (layer for layer in edit.layers if layer.name in deltas):
        shift(edit, layer, deltas[layer.name])
        job.change(layer.name, bias="compensated", largest=float(abs(deltas[layer.name]).max()))
    return edit.done()


def _norms(original: Model, pruned: Model, kept: Axes, job: Job) -> list[Target]:
    """Return the batch normalisations of both models whose statistics can be replaced."""
    before = {layer.name: layer for layer in original.layers}
    found: list[Target] = []
    for name, layer in measurable(pruned, job).items():
        old = before.get(name)
        if reason := _mismatch(old, layer, kept):
            job.decline(name, f"its running statistics stay as they are: {reason}")
        elif old is not None and layer.node.inputs[0] and old.node.inputs[0]:
            names = [v.name or "" for v in (old.node.inputs[0], layer.node.inputs[0])]
            found.append(Target(name, names[0], names[1], 1, kept_outputs(old, kept), layer))
    return found


def _targets(original: Model, pruned: Model, norms: set[str], kept: Axes, job: Job) -> list[Target]:
    """Return the layers of both models whose bias can take up what changed."""
    before = {layer.name: layer for layer in original.layers}
    found: list[Target] = []
    for layer in pruned.layers:
        if layer.name in norms or only_normalised(layer):
            continue
        old = before.get(layer.name)
        reason = why_not_shifted(pruned, layer) or _mismatch(old, layer, kept)
        if reason := reason or _why_not_measured(pruned, layer):
            job.decline(layer.name, f"its mean output is not compensated: {reason}")
        elif old is not None:
            names = [shifted_output(found).name or "" for found in (old, layer)]
            axis = channel_axis(layer)
            assert axis is not None  # `why_not_shifted` says why if it is
            found.append(Target(layer.name, names[0], names[1], axis, kept_outputs(old, kept)))
    return found


def only_normalised(layer: Layer) -> bool:
    """Say whether nothing but batch normalisations reads what a layer gives."""
    output = shifted_output(layer)
    users = [node for node, _ in output.uses()]
    return (
        bool(users)
        and not output.is_graph_output()
        and all(node.op_type == BATCH_NORM for node in users)
    )


def _mismatch(old: Layer | None, new: Layer, kept: Axes) -> str | None:
    """Say why it can't be told which channel of the original a channel was."""
    if old is None or old.op_type != new.op_type or bool(old.calls):
        return "the original has no such layer"
    stays = kept_outputs(old, kept)
    had, has = (_channels(layer) for layer in (old, new))
    left = had if stays is None else int(np.count_nonzero(stays))
    if left != has or (stays is not None and stays.size != had):
        return f"it has {has} of {had} channels, and it is not said which"
    return None


def _why_not_measured(model: Model, layer: Layer) -> str | None:
    known = model.types.get(shifted_output(layer).name or "", UNKNOWN)
    rank_matters = channel_axis(layer) not in {-1, 0, 1}
    return "the rank of its output is not known" if rank_matters and known.shape is None else None


def _channels(layer: Layer) -> int:
    axis = layer.weight.output_axis
    groups = layer.groups if layer.op_type == "ConvTranspose" else 1
    return 0 if axis is None else layer.weight.shape[axis] * groups
