"""Writing an LSTM, GRU or RNN out as a Scan, and differentiating that.

For what the quick rules don't cover: lengths, peepholes, clipping, unusual activations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

import onnx_ir as ir

from onnxpress.autodiff.bodies import renamed
from onnxpress.autodiff.cells import Activation, Cell, activations
from onnxpress.autodiff.directions import LENGTHS, Direction, P, directions, equally, parted
from onnxpress.autodiff.scanned import scanned
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import size, upto
from onnxpress.autodiff.table import Gradients
from onnxpress.autodiff.tensor import Tensor

Step: TypeAlias = Callable[..., Sequence[Tensor]]
"""From the cell, what the input gives to the gates, and the states before, to those after."""


def by_steps(at: Site, step: Step, usual: Sequence[str], states: int) -> Gradients:
    """Return the gradients of a node's inputs.

    Args:
        at: The node.
        step: One step.
        usual: The activations of a node that names none.
        states: How many states the node has.
    """
    op, begin = at.op, len(at.op.graph)
    own = replace(at, x=tuple(None if x is None else _own(x) for x in at.x))
    ways = directions(own, states)
    functions = activations(at, usual, len(ways))
    peepholes = parted(own.input(P), len(ways)) if own.has(P) else [None] * len(ways)
    seeds: dict[ir.Value, Tensor] = {}
    for d, p, apply in zip(ways, peepholes, functions, strict=True):
        last, y = _run(own, d, p, apply, step)
        seeds.update(zip((state.value for state in last), d.last, strict=True))
        if d.dy is not None:
            seeds[y.value] = d.dy
    nodes = list(islice(op.graph, begin, None))
    wanted = [x.value for i, x in enumerate(own.x) if x is not None and at.needs(i)]
    found = at.walk.back(op, nodes, seeds, wanted)
    return [None if x is None else found.get(x.value) for x in own.x]


def _own(x: Tensor) -> Tensor:
    """Rename an input, so that what follows from it is not found among what is there already."""
    return x.op.tensor(renamed(x.op, x.op.graph, x.value))


def _run(
    at: Site, d: Direction, p: Tensor | None, apply: Sequence[Activation], step: Step
) -> tuple[list[Tensor], Tensor]:
    """Add a Scan; return the states after the last step, and the first of them after each."""
    count = len(d.first)
    clip = at.number("clip", 0)

    def body(*given: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        before, gates, rest = given[:count], given[count], [*given[count + 1 :]]
        mask = rest.pop(0) if at.has(LENGTHS) else None
        r = rest.pop(0)
        bias = rest.pop(0) if d.biases else None
        after = step(at, Cell(r, bias, rest, apply, clip), gates, *before)
        if mask is None:
            return after, after[:1]
        where = mask.op
        kept = [where("Where", mask, new, old) for new, old in zip(after, before, strict=True)]
        return kept, [where("Where", mask, after[0], 0.0 * after[0])]

    reads = [d.of_input(), *([_running(at, d)] if at.has(LENGTHS) else [])]
    whole = [d.r.transpose(1, 0), *([d.biases[1]] if d.biases else [])]
    whole += [] if p is None else equally(p, 3)
    last, (y,) = scanned(at.op, body, d.first, reads, whole, backwards=d.backwards)
    return last, y


def _running(at: Site, d: Direction) -> Tensor:
    """Return whether a step is one of a sequence, (T, B, 1); past its end nothing changes."""
    steps = upto(size(d.x, 0), at.op).unsqueeze(1, 2)
    return steps < at.input(LENGTHS).cast(ir.DataType.INT64).unsqueeze(1)
