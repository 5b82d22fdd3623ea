from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from onnxpress.data.batch import Array
from tests.core.autodiff.cases import case, normal, positive, spread

Reduction = Callable[[Any, tuple[int, ...]], Any]
"""From a tensor and axes, of which there may be none, to what is left, axes of size 1 kept."""


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def total(x: Any, axes: tuple[int, ...]) -> Any:
    # For PyTorch, no axes are all of them.
    return x.sum(axes, keepdim=True) if axes else x


def mean(x: Any, axes: tuple[int, ...]) -> Any:
    return x.mean(axes, keepdim=True) if axes else x


def product(x: Any, axes: tuple[int, ...]) -> Any:
    for axis in axes:
        x = x.prod(axis, keepdim=True)
    return x


def norm(x: Any, axes: tuple[int, ...]) -> Any:
    return torch.linalg.vector_norm(x, 2, axes, keepdim=True) if axes else x.abs()


FUNCTIONS: dict[str, tuple[Callable[..., Array], Reduction]] = {
    "ReduceSum": (normal, total),
    "ReduceMean": (normal, mean),
    "ReduceMax": (spread, lambda x, axes: x.amax(axes, keepdim=True) if axes else x),
    "ReduceMin": (spread, lambda x, axes: x.amin(axes, keepdim=True) if axes else x),
    "ReduceProd": (positive, product),
    "ReduceL1": (spread, lambda x, axes: total(x.abs(), axes)),
    "ReduceL2": (normal, norm),
    "ReduceLogSum": (positive, lambda x, axes: total(x, axes).log()),
    "ReduceLogSumExp": (normal, lambda x, axes: total(x.exp(), axes).log()),
    "ReduceSumSquare": (normal, lambda x, axes: total(x.square(), axes)),
}


def over(reduce: Reduction, axes: tuple[int, ...], keepdims: int) -> Callable[..., Any]:
    def function(x: Any, *_: Any) -> Any:
        y = reduce(x, axes)
        gone = {axis % x.ndim for axis in axes}
        kept = [size for axis, size in enumerate(y.shape) if axis not in gone]
        return y if keepdims else y.reshape(kept)

    return function


for op, (make, reduce) in FUNCTIONS.items():
    x = make(2, 3, 4)
    everything, two = (0, 1, 2), (0, -2)
    for keep in (1, 0):
        of, wanted = partial(case, op, x, keepdims=keep), partial(over, reduce, keepdims=keep)
        of(ints(-1), torch=wanted((-1,)), note=f"keepdims={keep}")
        of(ints(*two), torch=wanted(two), note=f"two axes keepdims={keep}")
        of(torch=wanted(everything), note=f"all keepdims={keep}")
        of(ints(), torch=wanted(everything), note=f"empty axes keepdims={keep}")
        of(ints(*two), torch=wanted(two), stored=(), note=f"computed axes keepdims={keep}")
    none = partial(case, op, x, noop_with_empty_axes=1, torch=over(reduce, (), 1))
    none(ints(), keepdims=0, note="over none")
    none(note="over none, no axes")
    none(ints(), keepdims=0, stored=(), note="over none, computed")
    case(op, make(1), keepdims=0, torch=over(reduce, (0,), 0), note="one element")

# Where several elements share the extreme, or at 0, PyTorch's choice is ours.
tied = np.array([[1.0, 3, 3, 2], [0, 0, 0, 0]])
for op in ("ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"):
    case(op, tied, ints(1), differences=False, smooth=False, note="ties and zeros",
         torch=over(FUNCTIONS[op][1], (1,), 1))  # fmt: skip

# A product is smooth at zeros too, however many there are.
zeros = np.array([[2.0, 3.0, 0.0, 5.0], [0.0, 2.0, 0.0, 3.0], [0.0, 0.0, 0.0, 1.0]])
case("ReduceProd", zeros, ints(1), torch=over(product, (1,), 1), note="zeros")
case("ReduceProd", zeros, ints(-1), keepdims=0, stored=(), torch=over(product, (1,), 0),
     note="zeros, computed axes")  # fmt: skip
case("ReduceProd", zeros, torch=over(product, (0, 1), 1), note="zeros, all")

# Nothing to multiply gives 1; the gradient is an empty constant, which has none itself.
for shape in ((0, 3), (2, 0, 3)):
    empty = partial(case, "ReduceProd", np.zeros(shape), smooth=False)
    empty(ints(1), torch=over(product, (1,), 1), note=f"empty {shape}")
    empty(ints(0), keepdims=0, torch=over(product, (0,), 0), note=f"empty {shape}, first axis")
    empty(ints(1), stored=(), torch=over(product, (1,), 1), note=f"empty {shape}, computed axes")
    empty(torch=over(product, tuple(range(len(shape))), 1), note=f"empty {shape}, all")
