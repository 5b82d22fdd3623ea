"""Penalties on weights: they pull toward zero, elements or whole channels."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Final, final

from pydantic import Field

from onnxpress.contract import Objective
from onnxpress.errors import UsageError
from onnxpress.select import Patterns, select
from onnxpress_training.objectives.compared import total, wide

if TYPE_CHECKING:
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.weights import Weight
    from onnxpress.training.goal import Goal

_WEIGHTS: Final = frozenset({"weight", "recurrence"})


class _Penalty(Objective):
    """A sum over the weights of chosen layers, each tensor once."""

    penalty: ClassVar[bool] = True

    layers: Patterns = Field(
        default=(), description="only these layers: names, globs, re:REGEX, op:TYPE"
    )
    exclude: Patterns = Field(default=(), description="leave these layers out")

    def build(self, goal: Goal) -> Tensor:
        terms = [self.term(wide(w), layer, weight) for layer, weight, w in self._chosen(goal)]
        if not terms:
            raise UsageError(
                f"{self.name}: no layer that it is for has weights that are trained; choose "
                "others with layers=…, or train them"
            )
        return goal.op.add(terms)

    @abstractmethod
    def term(self, w: Tensor, layer: Layer, weight: Weight) -> Tensor:
        """Return the penalty on one tensor, without axes."""

    def roles(self, layer: Layer) -> frozenset[str]:
        """Return which tensors of a layer are meant."""
        del layer
        return _WEIGHTS

    def _chosen(self, goal: Goal) -> Iterator[tuple[Layer, Weight, Tensor]]:
        seen: set[str] = set()
        for layer in select(goal.layers, self.layers, self.exclude):
            for weight in layer.tensors:
                wanted = weight.role in self.roles(layer) and weight.name in goal.parameters
                if wanted and weight.name not in seen:
                    seen.add(weight.name)
                    yield layer, weight, goal.parameters[weight.name]


class _Elementwise(_Penalty):
    """A penalty that looks at each weight by itself."""

    include_bias: bool = Field(default=False, description="biases as well")
    include_norm: bool = Field(
        default=False, description="the scales of normalisations as well (network slimming)"
    )

    def roles(self, layer: Layer) -> frozenset[str]:
        bias = {"bias", "peephole"} if self.include_bias else set()
        if layer.normalizes:
            return frozenset({"scale"} | bias) if self.include_norm else frozenset()
        return _WEIGHTS | bias


@final
class L1(_Elementwise):
    """The sum of the absolute values of weights; it makes many of them zero."""

    name: ClassVar[str] = "l1"

    def term(self, w: Tensor, layer: Layer, weight: Weight) -> Tensor:
        del layer, weight
        return total(w.op("Abs", w))


@final
class L2(_Elementwise):
    """The sum of the squares of weights; half of it, times 2, is what weight decay descends."""

    name: ClassVar[str] = "l2"

    def term(self, w: Tensor, layer: Layer, weight: Weight) -> Tensor:
        del layer, weight
        return total(w * w)


@final
class GroupLasso(_Penalty):
    """The sum of the lengths of the weights of every output channel; whole channels become zero.

    Each length counts times the square root of its number of weights, so that channels of
    large layers are no cheaper than those of small ones (Yuan & Lin 2006).
    """

    name: ClassVar[str] = "group-lasso"

    by_size: bool = Field(
        default=True, description="times the square root of the number of weights of a channel"
    )

    def term(self, w: Tensor, layer: Layer, weight: Weight) -> Tensor:
        shape, axis = w.fixed, weight.output_axis  # not the weight's: it is no constant any more
        assert shape is not None  # stored tensors have one
        size = math.prod(shape)
        if axis is None:
            return self._lengths(w.reshape(1, size), 0, size)
        if layer.op_type == "ConvTranspose" and layer.groups > 1:
            # Stored as (input channels, output channels of one group, …).
            shape = (layer.groups, shape[0] // layer.groups, *shape[1:])
            w = w.reshape(*shape)
            return self._lengths(w, (0, 2), size // (shape[0] * shape[2]))
        return self._lengths(w, axis, size // shape[axis])

    def _lengths(self, w: Tensor, kept: int | tuple[int, ...], size: int) -> Tensor:
        """``Σ_channels sqrt(size) · ‖w‖₂``; the root of 0, which has no slope, is left out."""
        op, axes = w.op, {kept} if isinstance(kept, int) else set(kept)
        over = tuple(i for i in range(w.rank or 0) if i not in axes)
        square = (w * w).sum(over)
        empty = square.equal(0)
        root = op("Sqrt", op("Where", empty, op.constant(1, w.dtype), square))
        length = total(op("Where", empty, op.constant(0, w.dtype), root))
        return length * math.sqrt(size) if self.by_size else length
