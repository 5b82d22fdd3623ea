"""Inputs for LSTM, GRU and RNN, and the same computed by PyTorch's modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch

from onnxpress.data.batch import Array
from tests.core.autodiff.cases import normal

STEPS, BATCH, INPUTS, UNITS = 4, 3, 2, 2

# Which of ONNX's gates each of PyTorch's is: i f g o of i o f g, r z n of z r n.
_ORDER: Final = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}


def inputs(op: str, way: str, *, first: bool = True, bias: bool = True) -> list[Array | None]:
    """Return X, W, R, B, no lengths, and the states before the first step."""
    count, rows = 2 if way == "bidirectional" else 1, len(_ORDER[op]) * UNITS
    if op == "LSTM":
        rows = 4 * UNITS
    states = [normal(count, BATCH, UNITS, seed=s) / 2 for s in range(1 + (op == "LSTM"))]
    return [
        normal(STEPS, BATCH, INPUTS),
        normal(count, rows, INPUTS, seed=1) / 2,
        normal(count, rows, UNITS, seed=2) / 2,
        normal(count, 2 * rows, seed=3) / 2 if bias else None,
        *([None, *states] if first else []),
    ]


def by_torch(op: str, way: str = "forward", of: int = 0, **options: Any) -> Callable[..., Any]:
    """Return the module of PyTorch as a function of the inputs of the node."""

    def run(x: Any, w: Any, r: Any, b: Any = None, _lengths: Any = None, *first: Any) -> Any:
        ys, lasts = [], []
        for d in range(w.shape[0]):
            backwards = way == "reverse" or d == 1
            begin = tuple(state[d : d + 1] for state in first)
            bias = [] if b is None else [*b[d].chunk(2)]
            y, last = _module(op, [w[d], r[d], *bias], options)(
                x.flip(0) if backwards else x,
                (begin if op == "LSTM" else begin[0]) if begin else None,
            )
            ys.append(y.flip(0) if backwards else y)
            lasts.append(last if isinstance(last, tuple) else (last,))
        states = [torch.cat(state) for state in zip(*lasts, strict=True)]
        return [torch.stack(ys, 1), *states][of]

    return run


def _module(op: str, stored: list[Any], options: dict[str, Any]) -> Callable[..., Any]:
    """Return what a module with ONNX's weights computes; gradients reach those weights."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    order, (w, r, *bias) = _ORDER[op], stored
    rows = [torch.cat([t.chunk(len(order))[gate] for gate in order]) for t in stored]
    module = getattr(torch.nn, op)(w.shape[1], r.shape[1], bias=bool(bias), **options).double()
    weights = dict(zip(names, rows, strict=False))
    return lambda *given: torch.func.functional_call(module, weights, given)
