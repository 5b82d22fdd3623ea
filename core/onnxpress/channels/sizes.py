"""What a model would cost with fewer channels, without cutting it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from onnxpress.graph.constants import constant_tensor, shape_of, stored_values
from onnxpress.graph.cost import parameter_sizes
from onnxpress.graph.macs import COST, UnknownShapeError
from onnxpress.graph.types import infer_types

if TYPE_CHECKING:
    from onnxpress.channels.labels import Ids
    from onnxpress.graph.model import Model


class Sizing:
    """Counts from shapes alone.

    Attributes:
        full: The number of channels of each group.

    Args:
        model: The model with all channels.
        axes: For axes of tensors how many positions belong to no group, then to each.
        sizes: The number of channels of each group.
    """

    def __init__(
        self, model: Model, axes: Mapping[tuple[ir.Value, int], Ids], sizes: Sequence[int]
    ) -> None:
        self._model = model
        self.full = np.array(sizes, np.int64)
        each = np.array([1, *sizes])
        # How many positions of an axis one channel of each group takes.
        self._axes = {key: counts / each for key, counts in axes.items()}

    @cached_property
    def _shapes(self) -> Mapping[str, tuple[int, ...]]:
        types = infer_types(self._model.ir, {})
        return {name: t.fixed for name, t in types.items() if t.fixed is not None}

    def shape(self, value: ir.Value, kept: Ids) -> tuple[float, ...]:
        """Return the shape of a tensor if each group keeps so many channels."""
        tensor = constant_tensor(value)
        shape = self._shapes.get(value.name or "") if tensor is None else shape_of(tensor)
        if shape is None:
            raise UnknownShapeError(f"the shape of {value.name!r} is not known")
        full, left = np.array([1, *self.full]), np.array([1, *kept])
        axes = [self._axes.get((value, i)) for i in range(len(shape))]
        return tuple(
            size if axis is None else size * float(axis @ left) / float(axis @ full)
            for size, axis in zip(shape, axes, strict=True)
        )

    def macs(self, kept: Ids) -> int:
        """Return the multiply-accumulates of one sample."""
        total = 0.0

        def shape(value: ir.Value | None) -> tuple[int, ...]:
            if value is None:
                raise UnknownShapeError("an input is missing")
            return tuple(round(n) for n in self.shape(value, kept))

        for node in self._model.ir.graph:
            opset = self._model.ir.opset_imports.get(node.domain)
            rule = COST.find(node.op_type, node.domain, opset)
            if rule is not None:
                with suppress(UnknownShapeError):
                    total += rule(node, shape)
        return round(total)

    def parameters(self, kept: Ids, of: Collection[str] | None = None) -> int:
        """Return the number of parameters, as `Cost.parameters` defines them.

        Args:
            kept: How many channels each group keeps.
            of: Only those of the tensors with these names.
        """
        return sum(
            round(float(np.prod(self.shape(value, kept))))
            for value in self._parameters
            if of is None or value.name in of
        )

    def bytes(self, kept: Ids) -> int:
        """Return the bytes of all stored tensors."""
        return sum(
            round(float(np.prod(self.shape(value, kept))) * tensor.nbytes / max(tensor.size, 1))
            for value, tensor in stored_values(self._model.ir)
        )

    @cached_property
    def _parameters(self) -> tuple[ir.Value, ...]:
        return tuple(parameter_sizes(self._model))
