"""The structure ``block``: weights go in blocks of any number of axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np

from onnxpress_pruning.structures.parts import PartStructure
from onnxpress_pruning.structures.structure import Sizes, order_of_axes

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.weights import Weight
    from onnxpress_pruning.criteria.criterion import Scores
    from onnxpress_pruning.ranking import Mask


@final
@dataclass(frozen=True)
class Block(PartStructure):
    """Weights go in blocks.

    A block has a size along output channels, then along input channels, then along each
    of the other axes in the order in which they are stored; so ``1x4`` is the same four
    weights however a matrix lies in memory.  What is not known to have output and input
    channels is taken as it is stored.  Blocks at the end of an axis may be cut short; their
    score is that of the weights that are there.

    Attributes:
        sizes: The size along each axis; 0 is the whole axis, and what is left out is 1.
        pooling: How the scores of the weights in a block make one.
    """

    noun: ClassVar[str] = "blocks"

    sizes: Sizes = (1, 4)
    pooling: Literal["mean", "max", "sum"] = "mean"

    def refusal(self, weight: Weight) -> str | None:
        more = self.sizes[len(weight.shape) :]
        if any(size != 1 for size in more):
            wanted = "x".join(map(str, self.sizes))
            return f"{weight.name} has {len(weight.shape)} axes, too few for blocks of {wanted}"
        return None

    def pool(self, weight: Weight, scores: Scores) -> Scores:
        cut = np.transpose(scores, order_of_axes(weight))
        if self.pooling == "max":
            return self._reduce(weight, cut, np.maximum)
        total = self._reduce(weight, cut, np.add)
        if self.pooling == "sum":
            return total
        for axis, size in enumerate(self._sizes(weight)):
            starts = [*range(0, cut.shape[axis], size), cut.shape[axis]]
            lengths = np.diff(starts).astype(total.dtype)
            total = total / np.expand_dims(lengths, [a for a in range(cut.ndim) if a != axis])
        return total

    def zero(self, weight: Weight) -> Mask:
        nonzero = np.transpose(weight.array() != 0, order_of_axes(weight))
        zero: Mask = ~self._reduce(weight, nonzero, np.logical_or).ravel()
        return zero

    def spread(self, weight: Weight, goes: Mask) -> Mask:
        order = order_of_axes(weight)
        mask = goes.reshape(self._counts(weight))
        for axis, size in enumerate(self._sizes(weight)):
            mask = np.repeat(mask, size, axis)
        inside = tuple(slice(weight.shape[axis]) for axis in order)
        return np.transpose(mask[inside], np.argsort(order)).ravel()

    def parts(self, weight: Weight) -> int:
        return math.prod(self._counts(weight))

    def _reduce(self, weight: Weight, array: Array, by: np.ufunc) -> Array:
        for axis, size in enumerate(self._sizes(weight)):
            if size > 1:
                array = by.reduceat(array, range(0, array.shape[axis], size), axis)
        return array

    def _sizes(self, weight: Weight) -> Sizes:
        """Return the size along each axis in the order of blocks, none longer than the axis."""
        shape = [weight.shape[axis] for axis in order_of_axes(weight)]
        wanted = (*self.sizes, *(1 for _ in shape))[: len(shape)]
        return tuple(max(1, min(size or n, n)) for size, n in zip(wanted, shape, strict=True))

    def _counts(self, weight: Weight) -> Sizes:
        shape = [weight.shape[axis] for axis in order_of_axes(weight)]
        return tuple(-(-n // size) for n, size in zip(shape, self._sizes(weight), strict=True))
