"""RNN: ``h = f(W x + R h' + b)``, where ``h'`` is the state before."""

from __future__ import annotations

from collections.abc import Sequence

from onnxpress.autodiff.directions import Direction
from onnxpress.autodiff.rules.recurrent import Slopes, differentiate, usual
from onnxpress.autodiff.scanned import scanned
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("RNN")
def _rnn(at: Site) -> Gradients:
    return differentiate(at, _back, 1)


def _back(_at: Site, d: Direction) -> Slopes:
    slope = 1 - d.y * d.y

    def step(dh: Tensor, k: Tensor, *rest: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        *dy, r = rest
        gate = (dh + dy[0] if dy else dh) * k
        return [gate @ r], [gate]

    arrived = [] if d.dy is None else [d.dy]
    first, (gates,) = scanned(
        d.x.op, step, d.last, [slope, *arrived], [d.r], backwards=not d.backwards
    )
    return Slopes(gates, gates, first)
