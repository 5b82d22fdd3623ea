"""Differentiate every model of ../shared/models by all its parameters; print what became of it.

docs/gradients-of-models.md is this script's output:

    OMP_NUM_THREADS=1 .venv/bin/python -m tests.benchmarks.gradients_of_models \
        > docs/gradients-of-models.md

An argument tries only the files that match: ``resnet20*.onnx``.  It takes about ten minutes.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnxpress
from onnxpress.errors import OnnxpressError
from tests.core.autodiff.slopes import Differences
from tests.core.autodiff.whole_models import Whole, count_nodes, on_the_way

MODELS: Final = Path(__file__).resolve().parents[2].parent / "shared" / "models"
KINK: Final = 1e-3
"""How far the slopes to both sides may be apart where a function counts as smooth."""

_DIRECTIONS: Final = 3
_SLOW: Final = 0.5  # seconds, above which one direction has to do
_SCALES: Final = (0.1, 0.01)  # of inputs, for models that standard normal ones saturate
_LONGEST: Final = 160  # characters of a reason


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        model: The file.
        whole: The model.
        path: How many nodes are between parameters and outputs.
        ruled: How many of these have a rule, or a body that the standard gives.
        errors: Of the gradients that ONNX Runtime computes, along each direction.
        exact: Of the same graph in double precision; empty if that can't be run.
        kinks: How many directions were left out because they cross a kink.
    """

    model: str
    whole: Whole
    path: int
    ruled: int
    errors: list[float]
    exact: list[float]
    kinks: int

    def __str__(self) -> str:
        whole = self.whole
        nodes, after = count_nodes(whole.model), count_nodes(whole.backward)
        wanted = "float64" if whole.in_double else "ONNX Runtime"
        cells = [
            f"`{self.model}`", f"{nodes}", f"{self.path}", f"{whole.elements:,}",
            _worst(self.errors), _worst(self.exact), wanted, f"{whole.scale:g}",
            f"{self.kinks}",
            f"{whole.seconds:.2f}", f"{after / nodes:.1f}",
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the page."""
    rows: list[Row] = []
    left: list[str] = []
    print(HEADER)
    for path in sorted(MODELS.rglob(sys.argv[1] if len(sys.argv) > 1 else "*.onnx")):
        name = str(path.relative_to(MODELS))
        try:
            row = differentiated(path, name)
        except OnnxpressError as error:
            left.append(f"- `{name}`: {reason(error).removeprefix(f'{name}: ')}")
            continue
        if isinstance(row, str):
            left.append(f"- `{name}`: {row}")
            continue
        rows.append(row)
        print(row, flush=True)
    print("\n".join(summary(rows)))
    print("\n## Left out\n")
    print("\n".join(left))


def differentiated(path: Path, name: str) -> Row | str:
    """Differentiate one model, or say why there is nothing to differentiate."""
    whole = Whole(onnxpress.load(path))
    if not whole.outputs:
        return "no output is a tensor of floats"
    if not whole.parameters:
        return "it stores no float tensors of 16 elements or more (its weights are integers)"
    crossed, missing = on_the_way(whole)
    for scale in _SCALES:
        if whole.saturated:
            whole = Whole(whole.model, scale=scale)
    directions = 1 if whole.seconds_to_run > _SLOW else _DIRECTIONS
    compared = [whole.differences(number) for number in range(directions)]
    smooth = [found for found in compared if not crosses_a_kink(found, whole)]
    exact = whole.exact if whole.in_double else None
    return Row(
        name, whole, len(crossed), len(crossed) - len(missing),
        [found.error(whole.gradients) for found in smooth],
        [] if exact is None else [found.error(exact) for found in smooth],
        len(compared) - len(smooth),
    )  # fmt: skip


def crosses_a_kink(found: Differences, whole: Whole) -> bool:
    """Say whether the slopes to both sides differ where they should not: in double precision."""
    return whole.in_double is not None and found.sides > KINK * found.size(whole.gradients)


def summary(rows: list[Row]) -> Iterator[str]:
    path, ruled = sum(row.path for row in rows), sum(row.ruled for row in rows)
    every = [row for row in rows if row.path == row.ruled]
    good = [row for row in rows if row.errors and max(row.errors) < KINK]
    exact = [row for row in rows if row.exact and max(row.exact) < KINK]
    either = [row for row in rows if row in good or row in exact]
    yield "\n## Coverage\n"
    yield f"- Models all of whose gradients can be had: {len(every)} of {len(rows)}."
    yield f"- Nodes on the way from parameters to outputs that have a rule: {ruled:,} of {path:,}."
    yield f"- Relative error of ONNX Runtime's float gradients below {KINK:g}: {len(good)} models."
    yield f"- Of the same graphs in double precision: {len(exact)}; of either: {len(either)}."


def reason(error: OnnxpressError) -> str:
    text = " ".join(str(error).replace(f"{MODELS}/", "").split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _worst(errors: list[float]) -> str:
    return f"{max(errors):.0e}" if errors else "-"


HEADER = """# Gradients of models

Every `.onnx` file of the shared collection that ONNX Runtime runs, differentiated with respect to
all its parameters: a sum of all float outputs, each element with a random weight, on random inputs.
The slope along a random direction of all parameters together (each moved by a share of its own
size) is compared with central differences, in three directions; the error is the largest, as a
share of the slope, or of the root of the summed squares of gradient times direction where that is
more. Differences are taken in double precision (ONNX's reference evaluator, convolutions by
PyTorch) where it runs the model, else of ONNX Runtime's float32. *float* is the gradient as ONNX
Runtime computes it, *double* the same graph of gradients run in double precision: where only
the first is off, float32 is too coarse for the model on random inputs, not the gradient wrong.
*Path* counts the nodes between parameters and outputs, *×* is how many times as many nodes the
model has with its gradients, *build* the time to build them. Inputs are standard normal, times
0.1 or 0.01 where these leave nothing but zeros behind the last sigmoid or softmax. Directions are
left out as kinks where, in double precision, the slopes to both sides differ.

Printed by `OMP_NUM_THREADS=1 .venv/bin/python -m tests.benchmarks.gradients_of_models`.

| model | nodes | path | parameters | float | double | differences | inputs | kinks | build, s | × |
|---|---|---|---|---|---|---|---|---|---|---|"""

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
