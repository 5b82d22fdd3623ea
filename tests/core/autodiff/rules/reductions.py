from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from onnxpress.data.batch import Array
from tests.core.autodiff.cases import case, normal, positive, spread


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def prod(x: Any, dim: tuple[int, ...], keepdim: bool) -> Any:
    for axis in sorted((d % x.ndim for d in dim), reverse=True):
        x = x.prod(axis, keepdim=keepdim)
    return x


def mean(x: Any, dim: tuple[int, ...], keepdim: bool) -> Any:
    return x.mean(dim, keepdim) if dim else x


FUNCTIONS: dict[str, tuple[Callable[..., Array], Callable[..., Any]]] = {
    "ReduceSum": (normal, lambda x, dim, keepdim: x.sum(dim, keepdim) if dim else x),
    "ReduceMean": (normal, mean),
    "ReduceMax": (spread, torch.amax),
    "ReduceMin": (spread, torch.amin),
    "ReduceProd": (positive, prod),
    "ReduceL1": (spread, lambda x, dim, keepdim: x.abs().sum(dim, keepdim) if dim else x.abs()),
    "ReduceL2": (
        normal,
        lambda x, dim, keepdim: torch.linalg.vector_norm(x, 2, dim, keepdim) if dim else x.abs(),
    ),
    "ReduceLogSum": (
        positive,
        lambda x, dim, keepdim: (x.sum(dim, keepdim) if dim else x).log(),
    ),
    "ReduceLogSumExp": (
        normal,
        lambda x, dim, keepdim: torch.logsumexp(x, dim, keepdim) if dim else x,
    ),
    "ReduceSumSquare": (
        normal,
        lambda x, dim, keepdim: x.square().sum(dim, keepdim) if dim else x.square(),
    ),
}

for op, (make, function) in FUNCTIONS.items():
    several, x = op not in {"ReduceMax", "ReduceMin"}, make(2, 3, 4)
    everything = (0, 1, 2)
    none: Any = () if several else None
    for keep in (1, 0):
        of = partial(case, op, x, keepdims=keep)
        by = {
            axes: (lambda x, *_, f=function, axes=axes, keep=keep: f(x, axes, bool(keep)))
            for axes in ((-1,), (0, -2), everything)
        }
        of(ints(-1), torch=by[(-1,)], note=f"keepdims={keep}")
        of(ints(0, -2), torch=by[(0, -2)], note=f"two axes keepdims={keep}")
        of(torch=by[everything], note=f"all keepdims={keep}")
        of(ints(), torch=by[everything], note=f"empty axes keepdims={keep}")
        of(ints(0, -2), torch=by[(0, -2)], stored=(), note=f"computed axes keepdims={keep}")
    untouched = (lambda x, *_: x) if none is None else (lambda x, *_, f=function: f(x, (), False))
    case(op, x, ints(), noop_with_empty_axes=1, keepdims=0, torch=untouched, note="over none")
    case(op, x, noop_with_empty_axes=1, torch=untouched, note="over none, no axes")
    case(op, x, ints(), noop_with_empty_axes=1, keepdims=0, stored=(), torch=untouched,
         note="over none, computed")  # fmt: skip
    case(op, make(1), keepdims=0, torch=lambda x, f=function: f(x, (0,), False), note="one element")

# Where several elements share the extreme, differences see no slope: PyTorch's rule is the law.
tied = np.array([[1.0, 3, 3, 2], [0, 0, 0, 0]])
for op, by_torch in {"ReduceMax": torch.amax, "ReduceMin": torch.amin}.items():
    case(op, tied, ints(1), differences=False, smooth=False, note="ties",
         torch=lambda x, *_, f=by_torch: f(x, 1, True))  # fmt: skip
case("ReduceL1", tied, ints(1), differences=False, smooth=False, note="zeros",
     torch=lambda x, *_: x.abs().sum(1, True))  # fmt: skip
case("ReduceL2", tied, ints(1), differences=False, smooth=False, note="zeros",
     torch=lambda x, *_: torch.linalg.vector_norm(x, 2, 1, True))  # fmt: skip
# A product is smooth at zeros too, however many there are.
zeros = np.array([[2.0, 3.0, 0.0, 5.0], [0.0, 2.0, 0.0, 3.0], [0.0, 0.0, 0.0, 1.0]])
case("ReduceProd", zeros, ints(1), torch=lambda x, *_: x.prod(1, keepdim=True), note="zeros")
case("ReduceProd", zeros, ints(-1), keepdims=0, stored=(), torch=lambda x, *_: x.prod(1),
     note="zeros, computed axes")  # fmt: skip
case("ReduceProd", zeros, torch=lambda x: x.prod().reshape(1, 1), note="zeros, all")
