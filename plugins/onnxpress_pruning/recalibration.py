"""What is done for a network after it was pruned, before or instead of training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from onnxpress.calibration.kept import Axes
    from onnxpress.graph.model import Model
    from onnxpress.job import Job

Recalibration: TypeAlias = Literal["auto", "batch-norm", "bias", "none"]

_BATCH_NORM: Final = "BatchNormalization"
RECALIBRATE_HELP: Final = (
    "correct what pruning did to activations: auto (batch-norm and bias), batch-norm (running "
    "statistics from data), bias (mean outputs; without data, from the normalisations), none"
)


def recalibrate(
    original: Model, pruned: Model, job: Job, how: Recalibration, *, kept: Axes | None = None
) -> Model:
    """Correct running statistics and biases of a pruned model.

    Args:
        original: The model as it was.
        pruned: What pruning made of it.
        job: Data to calibrate on, if there is any; told of what changed and what did not.
        how: ``"auto"``: with data, batch normalisations get running statistics with which they
            give the mean and variance that they gave, and all other layers the biases for
            their mean, in one pass; without, what a cut removed is replaced by its expected
            value.  ``"batch-norm"``: only the statistics; needs data.  ``"bias"``: only biases,
            with data by measuring means, without by what normalisations tell of them.
            ``"none"``: nothing.
        kept: What a cut left of tensors: ``kept_positions(channels.groups, removed)``; None
            where only weights were set to zero.

    Returns:
        A new model; `pruned` itself where there is nothing to correct.

    Raises:
        UsageError: If ``"batch-norm"`` has no data.
        DataError: If data is empty, or a tensor holds NaN or infinite values.
    """
    from onnxpress.calibration.compensation import compensate
    from onnxpress.calibration.replacement import replace_means

    if how == "none":
        return pruned
    data = job.require_data("recalibrate=batch-norm") if how == "batch-norm" else job.data
    if how == "batch-norm" and not any(layer.op_type == _BATCH_NORM for layer in pruned.layers):
        job.decline("model", "it has no batch normalisation to recalibrate; bias fits it")
    if data is not None:
        norm, bias = how != "bias", how != "batch-norm"
        return compensate(original, pruned, data, job, kept=kept, batch_norm=norm, bias=bias)
    if how == "auto" and kept is None:
        job.decline("model", "it is not recalibrated: that needs data, unless channels are cut")
        return pruned
    if how == "bias":
        return replace_means(original, pruned, job, kept=kept)
    return _as_far_as_known(original, pruned, job, kept)


def _as_far_as_known(original: Model, pruned: Model, job: Job, kept: Axes | None) -> Model:
    """Replace means where they are known, and say once of how many layers they are not."""
    from onnxpress.calibration.replacement import replace_means

    quiet = replace(job, declined=[])
    replaced = replace_means(original, pruned, quiet, kept=kept)
    if number := len({declined.subject for declined in quiet.declined}):
        layers = "layer is" if number == 1 else "layers are"
        job.decline(
            "model",
            f"the biases of {number} {layers} not recalibrated: that needs data; "
            "recalibrate=bias says why for each",
        )
    return replaced
