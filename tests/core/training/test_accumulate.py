"""Gradients of several batches make one update, as one larger batch would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.core.training.fitting import PLAIN, fitted, weights
from tests.core.training.nets import mlp, samples


def cut(*sizes: int) -> list[tuple[Any, Any]]:
    """Return samples as batches of these sizes."""
    arrays, ends = samples(), np.cumsum(sizes)
    x, labels = arrays["x"], arrays["labels"]
    return [(x[e - n : e], labels[e - n : e]) for e, n in zip(ends, sizes, strict=True)]


@pytest.mark.parametrize("optimizer", ["sgd:momentum=0.9", "adam"])
@pytest.mark.parametrize(
    ("accumulate", "small", "large"),
    [(2, (8, 8, 8), (16, 8)), (3, (4,) * 8, (12, 12, 8)), (5, (6, 6), (12,)), (2, (8, 8), (16,))],
)
def test_the_last_group_of_an_epoch_counts_as_much_as_the_others(
    optimizer: str, accumulate: int, small: tuple[int, ...], large: tuple[int, ...]
) -> None:
    options = {**PLAIN, "optimizer": optimizer, "lr": 0.05, "epochs": 2}
    together = fitted(mlp(), cut(*small), accumulate=accumulate, **options).model
    alike = fitted(mlp(), cut(*large), **options).model
    for name, array in weights(alike).items():
        np.testing.assert_allclose(weights(together)[name], array, rtol=1e-4, atol=1e-5)
