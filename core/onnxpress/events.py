"""What observers are told while a recipe or a benchmark runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class StepStarted:
    """Step `index` (from 0) of `total` begins."""

    index: int
    total: int
    name: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` pieces of the task `label`; `total` is None where nobody knows."""

    label: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step has run."""

    index: int
    total: int
    name: str
    seconds: float
    changed: int
    declined: int


@dataclass(frozen=True, slots=True)
class Benchmarked:
    """One model was measured on one runtime; `result` is its entry of ``benchmark --json``."""

    model: str
    runtime: str
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trained:
    """A batch was trained on.

    Attributes:
        epoch: Which epoch, from 0.
        epochs: How many there will be.
        batch: How many batches of it are done.
        batches: How many it has, None where nobody knows.
        updates: How often weights were changed so far.
        losses: What was minimised, and its parts.
        learning_rate: The learning rate of this update.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int | None
    updates: int
    losses: Mapping[str, float]
    learning_rate: float


@dataclass(frozen=True, slots=True)
class EpochFinished:
    """An epoch of training is over: its average losses, and the score on what is held out."""

    epoch: int
    epochs: int
    losses: Mapping[str, float]
    score: float | None
    seconds: float


Event: TypeAlias = StepStarted | Progress | StepFinished | Benchmarked | Trained | EpochFinished
