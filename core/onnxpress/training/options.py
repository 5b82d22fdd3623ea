"""The ``train`` block: how to train, the same wherever something is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from onnxpress.contract import Objective
from onnxpress.data.augment import Augmentations
from onnxpress.recipe.steps import to_table
from onnxpress.select import Patterns
from onnxpress.training.optimizers import make_optimizer
from onnxpress.training.schedules import make_schedule


def _as_tuple(value: object) -> tuple[object, ...]:
    """Take a single objective for one of one."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(value)
    return (value,)


def _as_tables(objectives: Sequence[Any]) -> list[Any]:
    return [to_table(o) if isinstance(o, Objective) else o for o in objectives]


Objectives: TypeAlias = Annotated[
    tuple[Any, ...],
    BeforeValidator(_as_tuple),
    PlainSerializer(_as_tables, when_used="json"),
]
"""Losses to sum, as users write them: one, or several."""


class Training(BaseModel):
    """How to train a model: for how long, by which rule, on which loss.

    Attributes are the keys of the ``train`` block of a recipe; `field` descriptions are their
    help on the command line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    epochs: int = Field(default=1, ge=1, description="how often to go through the data")
    steps: int | None = Field(default=None, ge=1, description="updates after which to stop")
    batch: int | None = Field(
        default=None, ge=1, description="samples at once; that of --data by default"
    )
    optimizer: Annotated[Any, BeforeValidator(make_optimizer)] = Field(
        default_factory=lambda: make_optimizer("adamw"),
        description="how weights follow gradients: sgd, adam, adamw, lamb, with options as in "
        "sgd:momentum=0.9,weight-decay=1e-4",
    )
    lr: float = Field(default=1e-3, gt=0, description="the full learning rate")
    schedule: Annotated[Any, BeforeValidator(make_schedule)] = Field(
        default_factory=lambda: make_schedule("cosine"),
        description="how the learning rate changes: constant, step, cosine, one-cycle, polynomial, "
        "exponential, with options as in cosine:warmup=1",
    )
    objective: Objectives = Field(
        default=(),
        description="what to minimise, summed: cross-entropy, mean-squared-error, "
        "l2:weight=1e-4 …; by default what fits the labels",
    )
    clip_norm: float | None = Field(
        default=None, gt=0, description="largest norm of the gradient over all weights"
    )
    clip_value: float | None = Field(
        default=None, gt=0, description="largest magnitude of one element of a gradient"
    )
    accumulate: int = Field(
        default=1, ge=1, description="batches whose gradients are averaged for one update"
    )
    recompute: int | None = Field(
        default=None,
        ge=0,
        description="less memory for more time: cut the forward pass into so many parts (0: a "
        "good number) and compute what lies inside them again on the way back",
    )
    average: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="return a moving average of the weights; how slowly it follows, as 0.999",
    )
    batch_norm: Literal["train", "frozen"] = Field(
        default="train",
        description="train: normalise by the batch and keep running statistics; frozen: as stored",
    )
    train_layers: Patterns = Field(
        default=(), description="train only these layers: names, globs, re:REGEX, op:TYPE"
    )
    freeze_layers: Patterns = Field(default=(), description="leave these layers as they are")
    train_tensors: Patterns = Field(
        default=(),
        description="train these stored tensors as well, which belong to no layer, such as "
        "position embeddings: names or globs",
    )
    augment: Augmentations = Field(
        default=(),
        description="changes drawn anew for every batch: flip, crop:padding=4, cutout:size=8, "
        "mixup, cutmix, jitter, noise, package.module:callable",
    )
    shuffle: bool = Field(default=True, description="draw a new order for every epoch")
    balanced: bool = Field(default=False, description="let every class come equally often")
    drop_last: bool = Field(default=False, description="leave out samples that fill no batch")
    holdout: float = Field(
        default=0,
        ge=0,
        lt=1,
        description="share of the data to measure on after every epoch instead of training on it",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="stop after so many epochs without a better score on what is held out",
    )
    holdout_metric: str | None = Field(
        default=None, description="the score on what is held out; by default what fits the labels"
    )
    checkpoint: Path | None = Field(
        default=None, description="file to go on from after an interruption; made if missing"
    )
    checkpoint_every: int | None = Field(
        default=None, ge=1, description="updates between checkpoints; by default once an epoch"
    )
    keep_zeros: bool = Field(
        default=True, description="let weights stay zero that an earlier step pruned"
    )
    threads: int = Field(default=0, ge=0, description="threads; 0 takes one per core")
    provider: str = Field(
        default="CPUExecutionProvider", description="ONNX Runtime's execution provider to train on"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Training:
        if (self.patience is not None or self.holdout_metric is not None) and not self.holdout:
            named = "patience" if self.patience is not None else "holdout-metric"
            raise ValueError(f"{named} needs data to measure on; hold some out with holdout=0.1")
        if self.recompute == 1:
            raise ValueError("recompute=1 would keep everything; give 2 parts or more, or 0")
        if self.checkpoint_every is not None and self.checkpoint is None:
            raise ValueError("checkpoint-every needs a file: checkpoint=…")
        return self
