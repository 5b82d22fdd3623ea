"""Elementwise functions of one tensor: the gradient is the slope times what arrives."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import TypeAlias

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS
from onnxpress.autodiff.tensor import Tensor

Slope: TypeAlias = Callable[[Tensor, Tensor, Site], Tensor]
"""``dy/dx`` of every element, from the input ``x``, the output ``y`` and the node."""


def slope(*ops: str, since: int = 1) -> Callable[[Slope], Slope]:
    """Register the slope of elementwise operators."""

    def register(function: Slope) -> Slope:
        def rule(at: Site) -> Tensor:
            return at.gradient * function(at.input(0), at.output(), at)

        rule.__name__ = function.__name__
        GRADIENTS(*ops, since=since)(rule)
        return function

    return register


@slope("Exp")
def _exp(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return y


@slope("Log")
def _log(x: Tensor, _y: Tensor, _at: Site) -> Tensor:
    return x.op("Reciprocal", x)


@slope("Sqrt")
def _sqrt(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return 0.5 / y


@slope("Reciprocal")
def _reciprocal(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return -(y * y)


@slope("Sigmoid")
def _sigmoid(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return y * (1 - y)


@slope("Tanh")
def _tanh(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return 1 - y * y


@slope("Relu")
def _relu(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return (y > 0).cast(y.dtype)


@slope("Erf")
def _erf(x: Tensor, _y: Tensor, _at: Site) -> Tensor:
    return x.op("Exp", -(x * x)) * (2 / sqrt(pi))
