"""The net of TensorFlow's pruning tutorial, trained for real: small without zip, and accurate."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.prune_published import MNIST
from tests.benchmarks.small_files import measure


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.exists(), reason=f"needs {MNIST}")
def test_it_takes_25_kilobytes_of_floats_and_8_of_integers(tmp_path: Path) -> None:
    rows = {(row.structure, row.form): row for row in measure(0, tmp_path)}
    pruned = [row for row in rows.values() if row.structure != "not pruned"]
    assert all(row.left <= 0.2 + 5e-5 and row.accuracy >= 0.973 for row in pruned)
    assert rows["single weights", "float, packed"].bytes <= 25_000
    assert rows["single weights", "INT8, packed"].bytes <= 8_700
    assert rows["pairs of weights", "INT8, packed"].bytes <= 8_000
