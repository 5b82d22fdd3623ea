"""Whether a file of the zoo answers what PyTorch answers."""

from __future__ import annotations

import numpy as np

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.laws.zoo.export import Exported


def worst_difference(made: Exported, model: Model | None = None) -> float:
    """Return the largest difference from PyTorch's answers, as a share of the largest value.

    Args:
        made: The file and the answers.
        model: A model to run in its place, such as one without channels that were zero.
    """
    session = Session(Model.load(made.path) if model is None else model)
    return max(
        difference(got, wanted)
        for case in made.cases
        for got, wanted in zip(session.run(case.feeds).values(), case.answers, strict=True)
    )


def difference(got: Array, wanted: Array) -> float:
    """Return the largest difference as a share of the largest value; infinite for other shapes."""
    if got.shape != wanted.shape or not np.isfinite(got).all():
        return float("inf")
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())
