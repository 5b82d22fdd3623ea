"""Which nodes a gradient passes through, and whether there is a rule for each of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

import onnx_ir as ir

from onnxpress.graph.constants import STANDARD, subgraphs

QUANTIZING: Final = frozenset({"QuantizeLinear", "DynamicQuantizeLinear"})
"""Operators whose integer outputs carry gradients, for the DequantizeLinear behind them."""

INTEGER: Final = frozenset({"ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"})
"""Operators that compute with quantized numbers: a gradient that reaches one is not zero."""

NO_GRADIENT: Final = frozenset(
    {"Bernoulli", "ConstantOfShape", "EyeLike", "Multinomial", "NonMaxSuppression"}
    | {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Range"}
    | {"Shape", "Size", "HannWindow", "HammingWindow", "BlackmanWindow", "MelWeightMatrix"}
)
"""Operators whose result does not change when a float input changes a little, or is random."""


def depends(
    nodes: Iterable[ir.Node], sources: Collection[ir.Value], moves: Callable[[ir.Node], bool]
) -> set[ir.Value]:
    """Return the values that change smoothly with `sources`, which are among them.

    Args:
        nodes: In the order of the graph.
        sources: Where changes begin.
        moves: Whether a node with a changed input changes its outputs.
    """
    active = set(sources)
    for node in nodes:
        reached = [value for value in read_by(node) if value in active]
        if reached and moves(node):
            active.update(v for v in node.outputs if _carries(v, node, reached))
    return active


def read_by(node: ir.Node) -> list[ir.Value]:
    """Return all values that a node reads, those that its bodies read from outside included."""
    read = [value for value in node.inputs if value is not None]
    for body in subgraphs(node):
        read += captured(body)
    return read


def captured(body: ir.Graph) -> list[ir.Value]:
    """Return the values that a body reads from the graphs around it, in order, each once."""
    own: set[ir.Value] = set()
    found: dict[ir.Value, None] = {}
    _capture(body, own, found)
    return list(found)


def _capture(body: ir.Graph, own: set[ir.Value], found: dict[ir.Value, None]) -> None:
    own.update(body.inputs)
    own.update(body.initializers.values())
    for node in body:
        found.update(dict.fromkeys(v for v in node.inputs if v is not None and v not in own))
        for inner in subgraphs(node):
            _capture(inner, own, found)
        own.update(node.outputs)
    found.update(dict.fromkeys(v for v in body.outputs if v not in own))


def leads(
    nodes: Sequence[ir.Node], targets: Collection[ir.Value], moves: Callable[[ir.Node], bool]
) -> set[ir.Value]:
    """Return the values on which `targets` depend, which are among them."""
    needed = set(targets)
    for node in reversed(nodes):
        if moves(node) and any(value in needed for value in node.outputs):
            needed.update(read_by(node))
    return needed


def _carries(value: ir.Value, node: ir.Node, reached: Sequence[ir.Value]) -> bool:
    """Say whether an output can have a gradient: a float, or a quantized one."""
    dtype = value.dtype
    if dtype is None or dtype.is_floating_point():
        return True
    if node.op_type in QUANTIZING | INTEGER and node.domain in STANDARD:
        return True
    # What moves quantized elements about, or a body that hands sequences on.
    return any(v.dtype == dtype for v in reached)
