"""Losses that compare a tensor with labels, penalties on weights, and losses from a file."""

from typing import Final

from onnxpress.contract import Objective
from onnxpress_training.objectives.binary import BinaryCrossEntropy
from onnxpress_training.objectives.cross_entropy import CrossEntropy
from onnxpress_training.objectives.file import OnnxObjective
from onnxpress_training.objectives.penalties import L1, L2, GroupLasso
from onnxpress_training.objectives.regression import (
    Cosine,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
)

__all__ = [
    "L1",
    "L2",
    "OBJECTIVES",
    "BinaryCrossEntropy",
    "Cosine",
    "CrossEntropy",
    "GroupLasso",
    "Huber",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "OnnxObjective",
]

OBJECTIVES: Final[tuple[type[Objective], ...]] = (
    CrossEntropy,
    BinaryCrossEntropy,
    MeanSquaredError,
    MeanAbsoluteError,
    Huber,
    Cosine,
    L1,
    L2,
    GroupLasso,
    OnnxObjective,
)
