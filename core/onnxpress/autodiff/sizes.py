"""Vectors of sizes, and where elements are, as constants where they are known beforehand."""

from __future__ import annotations

from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.tensor import Tensor


def vector(op: Builder, *parts: int | Tensor) -> Tensor:
    """Return an int64 vector of numbers and of vectors computed in the graph."""
    runs: list[list[int] | Tensor] = []
    for part in parts:
        known = _known(part)
        if known is None:
            assert isinstance(part, Tensor)
            runs.append(part)
        elif runs and isinstance(runs[-1], list):
            runs[-1] += known
        else:
            runs.append(known)
    joined = [op.ints(*run) if isinstance(run, list) else run for run in runs]
    return op.concat(joined) if joined else op.ints()


def size(x: Tensor, axis: int) -> int | Tensor:
    """Return one size: a number where it is known, else a vector of one element."""
    known = None if x.shape is None else x.shape[axis]
    return known if isinstance(known, int) else x.size(axis)


def sizes(x: Tensor, begin: int = 0, end: int | None = None) -> list[int | Tensor]:
    """Return the sizes of some axes of a tensor whose rank is known, for `vector`."""
    assert x.shape is not None
    return [size(x, axis) for axis in range(len(x.shape))[begin:end]]


def ranked(x: Tensor, rank: int) -> Tensor:
    """Return a tensor whose number of axes is known, because the operator takes no other."""
    return x if x.rank is not None else x.op.typed(x.value, x.dtype, (None,) * rank)


def product(op: Builder, parts: list[int | Tensor]) -> int | Tensor:
    """Multiply sizes."""
    if all(isinstance(part, int) for part in parts):
        number = 1
        for part in parts:
            assert isinstance(part, int)
            number *= part
        return number
    return op("ReduceProd", vector(op, *parts), keepdims=1)


def difference(op: Builder, a: int | Tensor, b: int | Tensor) -> int | Tensor:
    """Return ``a - b`` of two sizes."""
    if isinstance(a, int) and isinstance(b, int):
        return a - b
    return vector(op, a) - vector(op, b)


def to_shape(x: Tensor, *parts: int | Tensor) -> Tensor:
    """Return the elements in another shape; sizes may be 0, and one may be -1."""
    op, target = x.op, vector(x.op, *parts)
    known = _known(target)
    zero = known is None or 0 in known
    result = op("Reshape", x, target, allowzero=int(zero and -1 not in parts) or None)
    shape = [part if isinstance(part, int) and part >= 0 else None for part in parts]
    plain = all(isinstance(part, int) or part.shape == (1,) for part in parts)
    return op.typed(result.value, x.dtype, shape) if plain and -1 not in parts else result


def count(x: Tensor) -> Tensor:
    """Return how many elements a tensor has, as a vector of one element."""
    if x.fixed is not None:
        return x.op.ints(int(_product_of(x.fixed)))
    return x.op("Size", x).unsqueeze(0)


def positions(x: Tensor) -> Tensor:
    """Return, in the shape of `x`, the place of each element among all, from 0."""
    op = x.op
    flat = op("Range", op.scalar(0), count(x).squeeze(0), op.scalar(1))
    result = op("Reshape", flat, x.sizes(), allowzero=1)
    return op.typed(result.value, flat.dtype, x.shape)


def upto(n: int | Tensor, op: Builder) -> Tensor:
    """Return the numbers below `n` in order."""
    end = op.scalar(n) if isinstance(n, int) else n.squeeze(0)
    return op("Range", op.scalar(0), end, op.scalar(1))


def _known(part: int | Tensor) -> list[int] | None:
    if isinstance(part, int):
        return [part]
    tensor = part.value.const_value
    if tensor is None or part.value.is_graph_input():
        return None
    return [int(number) for number in tensor.numpy().reshape(-1)]


def _product_of(numbers: tuple[int, ...]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result
