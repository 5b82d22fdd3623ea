"""Published figures of pruning during training, on MNIST; see the benchmark."""

from __future__ import annotations

import pytest

from tests.benchmarks.prune_published import MNIST, cases, measure


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.exists(), reason=f"needs {MNIST}")
@pytest.mark.parametrize("name", cases())
def test_as_good_as_published(name: str) -> None:
    case = cases()[name]
    figures = measure(case)
    assert figures["left"] <= case.left + 5e-5  # of a whole number of weights
    assert figures["sparse"] >= case.least
