"""LSTM, gate by gate.

With ``h'`` and ``c'`` for the states before, S for Sigmoid, all products elementwise
but those with ``W`` and ``R``, and gates in the order of ONNX:

    i, o, f, g = S, S, S, tanh of the parts of  W x + R h' + b
    c = f c' + i g
    h = o tanh(c)

Back through one step, from what arrives at ``h`` and ``c``, with ``d`` for what arrives at the
gates before S and tanh:

    dc += dh o (1 - tanh(c)²)
    di, do, df, dg = dc g i (1 - i), dh tanh(c) o (1 - o), dc c' f (1 - f), dc i (1 - g²)
    dh' = R' d
    dc' = dc f

All factors but those that begin with ``d`` are computed for all steps at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnxpress.autodiff.cells import Cell
from onnxpress.autodiff.directions import Direction, equally, joined
from onnxpress.autodiff.rules.recurrent import Slopes, differentiate, is_usual
from onnxpress.autodiff.scanned import scanned
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.autodiff.written_out import by_steps

_USUAL = ("Sigmoid", "Tanh", "Tanh")


@GRADIENTS("LSTM")
def _lstm(at: Site) -> Gradients:
    if is_usual(at, _USUAL):
        return differentiate(at, _back, 2)
    return by_steps(at, _step, _USUAL, 2)


def _back(d: Direction) -> Slopes:
    op, h = d.x.op, d.before(d.y, d.first[0])
    i, o, f, g = equally(d.of_input() + d.of_state(h), 4)
    i, o, f, g = (*(op("Sigmoid", gate) for gate in (i, o, f)), op("Tanh", g))
    c = _cells(d, f, i * g)
    t = op("Tanh", c)
    k = joined([
        g * i * (1 - i), t * o * (1 - o), d.before(c, d.first[1]) * f * (1 - f), i * (1 - g * g),
    ])  # fmt: skip
    reads = [k, o * (1 - t * t), f, *d.arriving]
    first, (gates,) = scanned(op, _step_back, d.last, reads, [d.r], backwards=not d.backwards)
    return Slopes(gates, gates, first)


def _cells(d: Direction, f: Tensor, added: Tensor) -> Tensor:
    """Compute the cells after every step once more; the node gives out only the last ones."""

    def step(c: Tensor, f: Tensor, added: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        after = f * c + added
        return [after], [after]

    return scanned(d.x.op, step, [d.first[1]], [f, added], backwards=d.backwards)[1][0]


def _step_back(
    dh: Tensor, dc: Tensor, k: Tensor, into_c: Tensor, f: Tensor, *rest: Tensor
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    *dy, r = rest
    dh = dh + dy[0] if dy else dh
    dc = dc + dh * into_c
    gates = joined([dc, dh, dc, dc]) * k
    return [gates @ r, dc * f], [gates]


def _step(at: Site, cell: Cell, x: Tensor, h: Tensor, c: Tensor) -> Sequence[Tensor]:
    """One step forward, with all that is unusual."""
    i, o, f, g = equally(x + cell.of_state(h), 4)
    i = cell.gate(0, cell.peep(0, i, c))
    f = 1 - i if at.integer("input_forget") else cell.gate(0, cell.peep(2, f, c))
    after = f * c + i * cell.gate(1, g)
    return cell.gate(0, cell.peep(1, o, after)) * cell.activations[2](after), after
