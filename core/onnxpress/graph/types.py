"""Element types and shapes of all tensors, kept beside the graph rather than in it.

The graph that is saved stays as small as its author made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

Dim: TypeAlias = int | str | None


@dataclass(frozen=True, slots=True)
class TensorType:
    """What is known about a tensor; a dimension is a number, a symbol, or unknown."""

    dtype: ir.DataType | None
    shape: tuple[Dim, ...] | None


def infer_types(model: ir.Model, dims: Mapping[str, int] | None = None) -> Mapping[str, TensorType]:
    """Return what shape inference knows of every tensor, by name.

    Args:
        model: The graph; it is left as it is.
        dims: If given, sizes for the symbolic dimensions of the inputs; those not
            named, and unknown ones, count as 1.
    """
    copy = model.clone()
    if dims is not None:
        _fix_inputs(copy, dims)
    ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(copy)
    return MappingProxyType({value.name: _type_of(value) for value in _values(copy) if value.name})


def _fix_inputs(model: ir.Model, dims: Mapping[str, int]) -> None:
    for value in model.graph.inputs:
        if value.shape is not None:
            value.shape = ir.Shape(
                [d if isinstance(d, int) else dims.get(str(d.value), 1) for d in value.shape]
            )


def _values(model: ir.Model) -> Iterator[ir.Value]:
    for graph in model.graphs():
        yield from graph.inputs
        yield from graph.initializers.values()
        for node in graph:
            yield from node.outputs


def _type_of(value: ir.Value) -> TensorType:
    shape = None if value.shape is None else tuple(map(_dim, value.shape))
    return TensorType(value.dtype, shape)


def _dim(dim: int | ir.SymbolicDim) -> Dim:
    return dim if isinstance(dim, int) else dim.value
