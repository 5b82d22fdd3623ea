"""How small a file of the tutorial's net gets, without zip, and how accurate it stays.

    python -m tests.benchmarks.small_files [--seed N]

The net of TensorFlow's pruning tutorial for MNIST (20,410 parameters) is trained, pruned to 80 %
zeros while it is trained further, quantized with ranges measured on the training images, and
packed.  Published with gzip, by users of the tutorial: about 25 kB of floats, 7.8 to 8.2 kB of
INT8.  Bytes are those of the .onnx file, all metadata in it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnxpress
from onnxpress.graph.model import Model
from tests.benchmarks.prune_published import TRAIN, accuracy, cases, share_left

STRUCTURES: Final[Mapping[str, Mapping[str, Any]]] = {
    "single weights": {},
    "pairs of weights": {"structure": "block", "block": "2x1"},
}
"""What is pruned together: for pairs, one position in the file stands for two weights."""

FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "float": (),
    "float, packed": ("pack",),
    "INT8": ("linear-quantization",),
    "INT8, packed": ("linear-quantization", "pack"),
}


@dataclass(frozen=True)
class Row:
    """One file: what was pruned, how it is stored, and what came of it."""

    structure: str
    form: str
    left: float
    bytes: int
    accuracy: float


def measure(seed: int, folder: Path) -> Iterator[Row]:
    """Train once, prune in each structure, and store the result in each form."""
    case = cases()["tutorial"]
    dense = onnxpress.compress(case.model, [case.dense], data=TRAIN, seed=seed).model
    yield _row("not pruned", "float", 1.0, dense, folder)
    for structure, options in STRUCTURES.items():
        step = {**case.sparse, **options}
        sparse = onnxpress.compress(dense, [step], data=TRAIN, seed=seed).model
        for form, steps in FILES.items():
            made = onnxpress.compress(sparse, steps, data=TRAIN).model if steps else sparse
            yield _row(structure, form, share_left(sparse), made, folder)


def _row(structure: str, form: str, left: float, model: Model, folder: Path) -> Row:
    """Save a model; what is measured is what comes back from the file."""
    path = folder / "model.onnx"
    model.save(path)
    return Row(structure, form, left, path.stat().st_size, accuracy(Model.load(path)))


def main() -> None:
    """Print one line for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(f"{'pruned':18}{'stored as':16}{'weights left':>14}{'bytes':>9}{'top-1':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(asked.seed, Path(folder)):
            shares = f"{row.left:14.1%}{row.bytes:9,}{row.accuracy:9.2%}"
            print(f"{row.structure:18}{row.form:16}{shares}", flush=True)


if __name__ == "__main__":
    main()
