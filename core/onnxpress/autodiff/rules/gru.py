"""GRU, with the reset gate before or after the product.

With ``h'`` for the state before, S for Sigmoid, all products elementwise but those with
``W`` and ``R``, gates in the order of ONNX, and ``Rn``, ``cn`` for the last parts of ``R`` and of
the bias of the state:

    z, r = S of the parts of  W x + b + R h' + c
    q = Rn h' + cn      n = tanh(Wn x + bn + r q)           if linear_before_reset
    q = r h'            n = tanh(Wn x + bn + Rn q + cn)     otherwise
    h = (1 - z) n + z h'

Back through one step, from what arrives at ``h``, with ``dz, dr, dn`` for what arrives at the
gates before S and tanh:

    dz = dh (h' - n) z (1 - z)
    dn = dh (1 - z) (1 - n²)
    dq = dn r         dr = dn q r (1 - r)       dh' = dh z + R' (dz, dr, dq)
    dq = Rn' dn       dr = dq h' r (1 - r)      dh' = dh z + R' (dz, dr) + dq r

All factors but those that begin with ``d`` are computed for all steps at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnxpress.autodiff.cells import Cell
from onnxpress.autodiff.directions import Direction, equally, joined
from onnxpress.autodiff.rules.recurrent import Slopes, differentiate, is_usual, over_steps
from onnxpress.autodiff.scanned import scanned
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.autodiff.written_out import by_steps

_USUAL = ("Sigmoid", "Tanh")


@GRADIENTS("GRU")
def _gru(at: Site) -> Gradients:
    if not is_usual(at, _USUAL):
        return by_steps(at, _step, _USUAL, 1)
    return differentiate(at, _back_late if at.integer("linear_before_reset") else _back, 1)


def _back_late(d: Direction) -> Slopes:
    """The reset gate comes after the product."""
    op, h = d.x.op, d.before(d.y, d.first[0])
    of_state = equally(d.of_state(h), 3)
    z, r, n = equally(d.of_input(), 3)
    z, r, q = op("Sigmoid", z + of_state[0]), op("Sigmoid", r + of_state[1]), of_state[2]
    n = op("Tanh", n + r * q)
    kz, kn = (h - n) * z * (1 - z), (1 - z) * (1 - n * n)
    k = joined([kz, kn * q * r * (1 - r), kn * r])
    reads = [k, z, *d.arriving]
    step = _step_back_late
    first, (gates, dh) = scanned(op, step, d.last, reads, [d.r], backwards=not d.backwards)
    dz, dr, _ = equally(gates, 3)
    return Slopes(joined([dz, dr, dh * kn]), gates, first)


def _step_back_late(
    dh: Tensor, k: Tensor, z: Tensor, *rest: Tensor
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    *dy, r = rest
    dh = dh + dy[0] if dy else dh
    gates = joined([dh, dh, dh]) * k
    return [dh * z + gates @ r], [gates, dh]


def _back(d: Direction) -> Slopes:
    """The reset gate comes before the product."""
    op, h = d.x.op, d.before(d.y, d.first[0])
    rz, rr, rn = equally(d.r, 3, axis=0)
    bz, br, bn = equally(d.biases[1], 3) if d.biases else (None, None, None)
    z, r, n = equally(d.of_input(), 3)
    z, r = op("Sigmoid", z + _product(h, rz, bz)), op("Sigmoid", r + _product(h, rr, br))
    n = op("Tanh", n + _product(r * h, rn, bn))
    reads = [
        (h - n) * z * (1 - z), h * r * (1 - r), (1 - z) * (1 - n * n), z, r, *d.arriving,
    ]  # fmt: skip
    whole = [op.concat([rz, rr]), rn]
    first, (gates,) = scanned(op, _step_back, d.last, reads, whole, backwards=not d.backwards)
    dz, dr, dn = equally(gates, 3)
    of_r = op.concat([over_steps(joined([dz, dr]), h), over_steps(dn, r * h)])
    return Slopes(gates, gates, first, op.typed(of_r.value, d.r.dtype, d.r.shape))


def _step_back(
    dh: Tensor, kz: Tensor, kr: Tensor, kn: Tensor, z: Tensor, r: Tensor, *rest: Tensor
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    *dy, r_zr, r_n = rest
    dh = dh + dy[0] if dy else dh
    dn = dh * kn
    dq = dn @ r_n
    gates = joined([dh * kz, dq * kr])
    return [dh * z + gates @ r_zr + dq * r], [joined([gates, dn])]


def _product(h: Tensor, r: Tensor, bias: Tensor | None) -> Tensor:
    product = h @ r.transpose(1, 0)
    return product if bias is None else product + bias


def _step(at: Site, cell: Cell, x: Tensor, h: Tensor) -> Sequence[Tensor]:
    """One step forward, with all that is unusual."""
    parts = equally(x, 3)
    if at.integer("linear_before_reset"):
        of_state = equally(cell.of_state(h), 3)
        z, r = (cell.gate(0, parts[i] + of_state[i]) for i in (0, 1))
        n = cell.gate(1, parts[2] + r * of_state[2])
    else:
        rs = equally(cell.r, 3)
        biases = equally(cell.bias, 3) if cell.bias is not None else [None] * 3
        given = list(zip(parts, rs, biases, strict=True))
        z, r = (cell.gate(0, part + _given(h, w, b)) for part, w, b in given[:2])
        n = cell.gate(1, parts[2] + _given(r * h, rs[2], biases[2]))
    return [(1 - z) * n + z * h]


def _given(h: Tensor, r: Tensor, bias: Tensor | None) -> Tensor:
    product = h @ r
    return product if bias is None else product + bias
