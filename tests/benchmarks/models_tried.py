"""Take every model of ../shared/models through inspect, prune and quantize; print the outcomes.

The table in docs/models-tried.md is this script's output:

    .venv/bin/python tests/benchmarks/models_tried.py > docs/models-tried.md

An argument tries only the files that match: ``resnet20*.onnx``.

Calibration and comparison use random inputs, so the agreement says whether the
integer graph computes the same function, not what a user's metric would be.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import onnxpress
from onnxpress.data.batch import Array
from onnxpress.data.random import runnable_feeds
from onnxpress.errors import OnnxpressError
from onnxpress.graph.model import Model
from onnxpress.session import Session

MODELS = Path(__file__).resolve().parents[2].parent / "shared" / "models"
PRUNE = "magnitude-pruning:sparsity=0.5,freeze=true"
_LONGEST = 240
QUANTIZE = "linear-quantization:freeze=true"


@dataclass
class Outcome:
    """One row of the table."""

    model: str
    inspect: str = ""
    prune: str = ""
    quantize: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def main() -> None:
    """Print the page."""
    print(HEADER)
    wanted = sys.argv[1] if len(sys.argv) > 1 else "*.onnx"
    for path in sorted(MODELS.rglob(wanted)):
        outcome = try_model(path)
        print(
            f"| {outcome.model} | {outcome.inspect} | {outcome.prune} | {outcome.quantize} |",
            flush=True,
        )


def try_model(path: Path) -> Outcome:
    """Take one file through the three verbs; an expected refusal is an outcome like another."""
    outcome = Outcome(f"`{path.relative_to(MODELS)}`")
    model = attempt(lambda: onnxpress.load(path), outcome, "inspect")
    if not isinstance(model, Model):
        return outcome
    outcome.inspect = attempt_text(lambda: inspected(model))
    feeds = attempt(lambda: list(several_feeds(model)), outcome, "prune")
    if not isinstance(feeds, list):
        outcome.quantize = outcome.prune
        return outcome
    outcome.prune = attempt_text(lambda: compressed(model, PRUNE, feeds))
    outcome.quantize = attempt_text(lambda: compressed(model, QUANTIZE, feeds))
    return outcome


def attempt(action: Callable[[], Any], outcome: Outcome, column: str) -> Any:
    try:
        return action()
    except OnnxpressError as error:
        setattr(outcome, column, refusal(error))
        return None


def attempt_text(action: Callable[[], str]) -> str:
    try:
        return action()
    except OnnxpressError as error:
        return refusal(error)


def refusal(error: OnnxpressError) -> str:
    text = str(error).replace(f"{MODELS}/", "").replace("|", "\\|")
    return "refused: " + " ".join(text.split())[:_LONGEST]


def inspected(model: Model) -> str:
    found = onnxpress.inspect(model).to_dict()
    return (
        f"{len(found['layers'])} layers, {found['parameters']:,} parameters, {found['macs']:,} MACs"
    )


def several_feeds(model: Model) -> Iterator[dict[str, Array]]:
    """Yield four batches of random inputs that the model runs on."""
    for seed in range(4):
        yield runnable_feeds(model, seed=seed)


def compressed(model: Model, step: str, feeds: list[dict[str, Array]]) -> str:
    """Apply one step, save, load the file in ONNX Runtime, run it, and say how it went."""
    result = onnxpress.compress(model, [step], data=feeds)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.onnx"
        result.model.save(path)
        again = onnxpress.load(path)
        agreement = min(agree(Session(model).run(f), Session(again).run(f)) for f in feeds)
        size = path.stat().st_size / model.cost().bytes_stored
    record = result.report.to_dict()["steps"][0]
    done, left = len(record["changed"]), len(record["declined"])
    return f"{done} done, {left} declined, size {size:.2f} ×, agreement {agreement:.3f}"


def agree(a: dict[str, Array], b: dict[str, Array]) -> float:
    """Return the smallest cosine over the float outputs (1 if there are none)."""
    floats = [k for k in a if isinstance(a[k], np.ndarray) and a[k].dtype.kind == "f"]
    return min((cosine(a[k], b[k]) for k in floats), default=1.0)


def cosine(x: Array, y: Array) -> float:
    if x.shape != y.shape or not x.size:
        return float("nan")
    u, v = x.astype(np.float64).ravel(), y.astype(np.float64).ravel()
    norm = float(np.linalg.norm(u) * np.linalg.norm(v))
    return float(u @ v) / norm if norm else float(np.array_equal(u, v))


HEADER = """# Models tried

Every `.onnx` file of the shared collection, taken through `inspect`, `prune` (50 % unstructured)
and `quantize` (static INT8, four random calibration batches), both with `freeze`, saved, loaded by
ONNX Runtime and run. Agreement is the smallest cosine between the float outputs before and after,
on random inputs: whether the graph still computes the same function, not what a metric on real
data would be.
Printed by `tests/benchmarks/models_tried.py`.

| model | inspect | prune | quantize |
|---|---|---|---|"""

if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
