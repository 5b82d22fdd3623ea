"""Inputs for LSTM, GRU and RNN, and the same computed by PyTorch's modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch

from onnxpress.data.batch import Array
from tests.core.autodiff.cases import normal

STEPS, BATCH, INPUTS, UNITS = 4, 3, 2, 2

# Where PyTorch has the rows of each of ONNX's gates: iofc is ifgo there, and zrh is rzn.
_ORDER: Final = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


def inputs(gates: int, way: str, *, first: bool = True, bias: bool = True) -> list[Array | None]:
    """Return X, W, R, B, no lengths, and the first states: two if there are four gates."""
    count, rows = 2 if way == "bidirectional" else 1, gates * UNITS
    states = [normal(count, BATCH, UNITS, seed=s) for s in range(2 if gates == 4 else 1)]
    return [
        normal(STEPS, BATCH, INPUTS),
        normal(count, rows, INPUTS, seed=1),
        normal(count, rows, UNITS, seed=2),
        normal(count, 2 * rows, seed=3) if bias else None,
        *([None, *states] if first else []),
    ]


def by_torch(op: str, way: str, of: int, **options: Any) -> Callable[..., Any]:
    """Return the module of PyTorch as a function of what the node has as inputs."""

    def run(x: Any, w: Any, r: Any, b: Any = None, _lengths: Any = None, *first: Any) -> Any:
        ys, states = [], []
        for d in range(w.shape[0]):
            backwards = way == "reverse" or d == 1
            module = _module(op, w[d], r[d], None if b is None else b[d], options)
            begin = [s[d : d + 1] for s in first] or None
            if begin is not None:
                begin = tuple(begin) if op == "LSTM" else begin[0]
            y, state = module(x.flip(0) if backwards else x, begin)
            ys.append(y.flip(0) if backwards else y)
            states.append(state if isinstance(state, tuple) else (state,))
        outputs = [torch.stack(ys, 1), *(torch.cat(s) for s in zip(*states, strict=True))]
        return outputs[of]

    return run


def _module(op: str, w: Any, r: Any, b: Any, options: dict[str, Any]) -> Any:
    """Return a function that runs a module with ONNX's weights, so that they get gradients."""
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    stored = [w, r, *(b.chunk(2) if b is not None else ())]
    rows = [torch.cat([t.chunk(len(_ORDER[op]))[_ORDER[op].index(i)] for i in range(len(_ORDER[op]))]) for t in stored]
    module = getattr(torch.nn, op)(w.shape[1], r.shape[1], bias=b is not None, **options).double()
    weights = dict(zip(names, rows, strict=False))
    return lambda *given: torch.func.functional_call(module, weights, given)
