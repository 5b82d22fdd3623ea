"""RNN: ``h = f(W x + R h' + b)``, where ``h'`` is the state before.

Back through one step, from what arrives at ``h``: ``d = dh f'``, and ``dh' = R' d``.  The slope
of Tanh and of Relu follows from ``h`` itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnxpress.autodiff.cells import Cell
from onnxpress.autodiff.directions import Direction
from onnxpress.autodiff.rules.recurrent import Slopes, differentiate, is_usual
from onnxpress.autodiff.scanned import scanned
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.autodiff.written_out import by_steps


@GRADIENTS("RNN")
def _rnn(at: Site) -> Gradients:
    if is_usual(at, ("Tanh",)):
        return differentiate(at, lambda d: _back(d, 1 - d.y * d.y), 1)
    if is_usual(at, ("Relu",)):
        return differentiate(at, lambda d: _back(d, (d.y > 0).cast(d.y.dtype)), 1)
    return by_steps(at, _step, ("Tanh",), 1)


def _back(d: Direction, slope: Tensor) -> Slopes:
    reads = [slope, *d.arriving]
    first, (gates,) = scanned(
        d.x.op, _step_back, d.last, reads, [d.r], backwards=not d.backwards
    )  # fmt: skip
    return Slopes(gates, gates, first)


def _step_back(
    dh: Tensor, slope: Tensor, *rest: Tensor
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    *dy, r = rest
    gate = (dh + dy[0] if dy else dh) * slope
    return [gate @ r], [gate]


def _step(_at: Site, cell: Cell, x: Tensor, h: Tensor) -> Sequence[Tensor]:
    """One step forward, with all that is unusual."""
    return [cell.gate(0, x + cell.of_state(h))]
