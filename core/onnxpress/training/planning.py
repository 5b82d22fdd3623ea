"""From the options of a ``train`` block to what a training step does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from onnxpress.training.constraints import Constraint, kept_zeros, together
from onnxpress.training.step import Plan
from onnxpress.training.targets import choose_parameters, left_alone
from onnxpress.training.update import Update

if TYPE_CHECKING:
    from onnxpress.contract import Objective
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule
    from onnxpress.training.masking import Masking
    from onnxpress.training.options import Training


def plan_step(
    model: Model,
    options: Training,
    objectives: Sequence[Objective],
    constraints: Mapping[str, Constraint],
    masking: Masking | None,
    rules: Sequence[Rule],
) -> Plan:
    """Return what a step does; arguments as for `fit`.

    Raises:
        UnknownNameError: If a pattern matches no layer or tensor.
        UsageError: If nothing is left to train.
    """
    masked = {} if masking is None else masking.parameters
    zeros = kept_zeros(model) if options.keep_zeros else {}
    others = {name: mask for name, mask in zeros.items() if name not in masked}
    return Plan(
        choose_parameters(
            model, options.train_layers, options.freeze_layers, options.train_tensors
        ),
        objectives,
        _update(options),
        options.batch_norm == "train",
        together(constraints, others),
        rules,
        left_alone(model, options.train_layers, options.freeze_layers),
        masked=masked,
        recompute=options.recompute,
    )


def _update(options: Training) -> Update:
    return Update(
        options.optimizer,
        options.clip_norm,
        options.clip_value,
        options.accumulate,
        options.average,
    )
