"""What is known of the tensors of a graph whose inputs may have any size.

The graph is looked at twice, with other numbers for its symbolic dimensions: what is the same
both times is fixed, what is not depends on the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.data.batch import Array
from onnxpress.graph.constants import Shape, constant_tensor, shape_of
from onnxpress.graph.types import infer_all, input_dims

Sizes: TypeAlias = tuple[int | None, ...]

# Multiples of 32, which networks of any depth can halve, and shorter than tables of positions.
_FIRST, _SECOND, _STEP = 96, 128, 64


@dataclass(frozen=True)
class Known:
    """Shapes and small contents, by name.

    Attributes:
        runs: The shapes of two runs; where there are no symbolic dimensions, they are one.
        data: The contents of small tensors that are the same in both runs.
    """

    runs: tuple[Mapping[str, Shape], Mapping[str, Shape]]
    data: Mapping[str, Array]

    def shapes(self, value: ir.Value) -> tuple[Shape, Shape] | None:
        """Return the shape of a tensor in both runs, None if one of them is not known."""
        tensor = constant_tensor(value)
        if tensor is not None:
            return shape_of(tensor), shape_of(tensor)
        first, second = (run.get(value.name or "") for run in self.runs)
        if first is None or second is None or len(first) != len(second):
            return None
        return first, second

    def sizes(self, value: ir.Value) -> Sizes | None:
        """Return the shape of a tensor; an axis whose size depends on the inputs is None."""
        shapes = self.shapes(value)
        if shapes is None:
            return None
        return tuple(a if a == b else None for a, b in zip(*shapes, strict=True))

    def array(self, value: ir.Value | None) -> Array | None:
        """Return the elements of a stored or known tensor."""
        if value is None:
            return None
        tensor = constant_tensor(value)
        return self.data.get(value.name or "") if tensor is None else np.asarray(tensor.numpy())


def look(model: ir.Model) -> Known:
    """Find out what is known of a graph; it is left as it is."""
    labels = list(dict.fromkeys(input_dims(model).values()))
    first = _look(model, {label: _FIRST + _STEP * i for i, label in enumerate(labels)})
    if not labels:
        return Known((first[0], first[0]), first[1])
    second = _look(model, {label: _SECOND + _STEP * i for i, label in enumerate(labels)})
    same = {
        name: array
        for name, array in first[1].items()
        if name in second[1] and np.array_equal(array, second[1][name])
    }
    return Known((first[0], second[0]), same)


def _look(model: ir.Model, dims: Mapping[str, int]) -> tuple[dict[str, Shape], dict[str, Array]]:
    types, data = infer_all(model, dims)
    shapes = {name: t.fixed for name, t in types.items()}
    return {name: shape for name, shape in shapes.items() if shape is not None}, dict(data)
