"""Products of powers, as exporters spread them over nodes: ``x · 0.5 · (1 + e)``, ``d / √v``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final

import onnx_ir as ir

from onnxpress.graph.constants import STANDARD, constant_tensor

_DEEPEST: Final = 6  # nodes looked into, one behind the other; what exporters write takes 4


@dataclass(frozen=True)
class Monomial:
    """A number times powers of values.

    Attributes:
        coefficient: The number.
        powers: The exponent of each value.
        nodes: The nodes that compute the product, of those that were looked into.
    """

    coefficient: float
    powers: Mapping[ir.Value, float]
    nodes: tuple[ir.Node, ...] = ()

    def times(self, other: Monomial) -> Monomial:
        """Return the product of two."""
        powers = dict(self.powers)
        for value, power in other.powers.items():
            powers[value] = powers.get(value, 0) + power
        return Monomial(self.coefficient * other.coefficient, powers, self.nodes + other.nodes)

    def inverse(self) -> Monomial | None:
        """Return 1 divided by it; None if it is 0."""
        if not self.coefficient:
            return None
        powers = {value: -power for value, power in self.powers.items()}
        return Monomial(1 / self.coefficient, powers, self.nodes)


def monomial(value: ir.Value, depth: int = _DEEPEST) -> Monomial:
    """Return what the node behind a value computes, as a product.

    Factors are looked into as well, but only those that nothing else reads.
    """
    node = value.producer()
    found = None if node is None else _computed(node, depth)
    return found or Monomial(1, {value: 1})


def number(value: ir.Value | None) -> float | None:
    """Return the one number that is stored for a value, None if there is none."""
    tensor = None if value is None else constant_tensor(value)
    if tensor is None or not tensor.dtype.is_floating_point() or tensor.size != 1:
        return None
    return float(tensor.numpy().reshape(-1)[0])


def _computed(node: ir.Node, depth: int) -> Monomial | None:
    inputs = [value for value in node.inputs if value is not None]
    if not depth or node.domain not in STANDARD or not inputs:
        return None
    if node.op_type in {"Sqrt", "Pow"}:
        power = 0.5 if node.op_type == "Sqrt" else number(inputs[-1])
        return None if power is None else Monomial(1, {inputs[0]: power}, (node,))
    if node.op_type not in {"Mul", "Div", "Reciprocal"}:
        return None
    *factors, last = (_factor(value, depth - 1) for value in inputs)
    end = last if node.op_type == "Mul" else last.inverse()
    return None if end is None else reduce(Monomial.times, (*factors, end), _one(node))


def _one(node: ir.Node) -> Monomial:
    return Monomial(1, {}, (node,))


def _factor(value: ir.Value, depth: int) -> Monomial:
    constant = number(value)
    if constant is not None:
        return Monomial(constant, {})
    return monomial(value, depth) if len(value.uses()) == 1 else Monomial(1, {value: 1})
