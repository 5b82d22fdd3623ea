"""Training: fine-tuning, training from random weights, and what models are trained on."""

from __future__ import annotations

from collections.abc import Iterable

from onnxpress.contract import Objective, Transform
from onnxpress.hooks import hookimpl
from onnxpress_training.finetune import Finetune
from onnxpress_training.objectives import OBJECTIVES
from onnxpress_training.scratch import Train

__all__ = ["OBJECTIVES", "Finetune", "Train"]


@hookimpl
def onnxpress_transforms() -> Iterable[type[Transform]]:
    return [Finetune, Train]


@hookimpl
def onnxpress_objectives() -> Iterable[type[Objective]]:
    return OBJECTIVES
