"""`train`: the ``train`` block at work, for transforms that have one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from onnxpress.errors import MissingRuleError
from onnxpress.training.fit import Fitted, fit
from onnxpress.training.goals import open_objectives
from onnxpress.training.targets import inside_functions, outside_layers

if TYPE_CHECKING:
    from onnxpress.contract import Objective
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress.training.constraints import Constraint
    from onnxpress.training.masking import Masking
    from onnxpress.training.options import Training

_SHOWN: Final = 8


def train(
    model: Model,
    job: Job,
    options: Training,
    step: str,
    *,
    objectives: Sequence[Objective] = (),
    constraints: Mapping[str, Constraint] | None = None,
    masking: Masking | None = None,
) -> Fitted:
    """Train a model on the data of a job, and report what became of it.

    Args:
        model: What to train.
        job: Data, seed, rules, and where to report.
        options: The ``train`` block.
        step: The name of the transform, for errors.
        objectives: Added to those of the block; if there are any, the block needs none.
        constraints: What holds for parameters after every step, besides pruned zeros.
        masking: Masks that change between updates; they take the place of pruned zeros.

    Raises:
        UsageError: If the job has no data, or options, data and model do not fit.
        DataError: If a batch can't be used.
        MissingRuleError: If an operator has no gradient rule.
        OnnxpressError: If the loss becomes NaN or infinite.
    """
    data = job.require_data(step)
    written = options.objective
    asked = tuple(objectives)
    if written or not asked:
        asked = (*open_objectives(written, model, data, job.plugins), *asked)
    with _offering_layers(model):
        fitted = fit(
            model,
            data,
            options,
            asked,
            seed=job.seed,
            constraints=constraints,
            masking=masking,
            rules=job.rules,
            notify=job.notify,
        )
    _report(job, fitted, options)
    return fitted


@contextmanager
def _offering_layers(model: Model) -> Iterator[None]:
    """Add to the error for a missing rule which layers can be trained without it."""
    try:
        yield
    except MissingRuleError as error:
        trained = {x.name: {w.name for w in x.tensors if w.trainable} for x in model.layers}
        free = [name for name, tensors in trained.items() if tensors and tensors <= error.free]
        if free:
            more = f" and {len(free) - _SHOWN} more" if len(free) > _SHOWN else ""
            error.add_note(
                f"to train only layers that need no such rule, give train-layers: "
                f"{', '.join(free[:_SHOWN])}{more}"
            )
        raise


def _report(job: Job, fitted: Fitted, options: Training) -> None:
    first, last = fitted.history[0], fitted.history[-1]
    details: dict[str, Any] = {"epochs": len(fitted.history), "tensors": len(fitted.trained)}
    for name in first:
        if name != "epoch":
            details[f"{name} at first"], details[name] = first[name], last[name]
    if fitted.best_epoch is not None:
        details["kept epoch"] = fitted.best_epoch
    if options.average is not None:
        details["moving average"] = options.average
    job.change("weights", **details)
    job.summary = _summary(fitted)
    for name in fitted.unused:
        job.decline(name, "the loss does not depend on it")
    for name in outside_layers(fitted.model):
        if name not in fitted.trained:
            job.decline(name, "it belongs to no layer; name it in train-tensors to train it")
    for name in inside_functions(fitted.model):
        job.decline(name, "it is stored inside a function of the model, not in its graph")


def _summary(fitted: Fitted) -> str:
    """Return a line such as ``3 epochs, loss 1.21 → 0.43, score 0.52 → 0.87 (epoch 2 kept)``."""
    first, last = fitted.history[0], fitted.history[-1]
    parts = ["1 epoch" if len(fitted.history) == 1 else f"{len(fitted.history)} epochs"]
    for name in ("loss", "score"):
        if name in last:
            was, now = (f"{entry[name]:.3g}" for entry in (first, last))
            parts.append(f"{name} {now}" if first is last else f"{name} {was} → {now}")
    kept = f" (epoch {fitted.best_epoch} kept)" if fitted.best_epoch is not None else ""
    return f"{', '.join(parts)}{kept}"
