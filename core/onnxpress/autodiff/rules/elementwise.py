"""Elementwise functions of one tensor: the gradient is the slope times what arrives.

Activation functions are in `activations`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import TypeAlias

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor

Slope: TypeAlias = Callable[[Tensor, Tensor, Site], Tensor]
"""``dy/dx`` of every element, from the input ``x``, the output ``y`` and the node."""

_NARROW = 16  # bits; floats of fewer are what a gradient is quantized to, not what it is kept in


def slope(*ops: str, since: int = 1) -> Callable[[Slope], Slope]:
    """Register the slope of elementwise operators."""

    def register(function: Slope) -> Slope:
        def rule(at: Site) -> Tensor:
            return at.gradient * function(at.input(0), at.output(), at)

        rule.__name__ = function.__name__
        GRADIENTS(*ops, since=since)(rule)
        return function

    return register


@GRADIENTS("Identity")
def _identity(at: Site) -> Tensor:
    return at.gradient


@GRADIENTS("Neg")
def _neg(at: Site) -> Tensor:
    return -at.gradient


@GRADIENTS("Cast", "CastLike")
def _cast(at: Site) -> Gradients:
    """Between floats the gradient is cast back, but to no less than 16 bits."""
    x, dy = at.input(0), at.gradient
    if x.dtype is None:
        return at.op("CastLike", dy, x)
    if not x.dtype.is_floating_point():
        return None
    return dy.cast(x.dtype) if x.dtype.bitwidth >= _NARROW else dy


@slope("Abs")
def _abs(x: Tensor, _y: Tensor, _at: Site) -> Tensor:
    return x.op("Sign", x)


@slope("Exp")
def _exp(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return y


@GRADIENTS("Log")
def _log(at: Site) -> Tensor:
    return at.gradient / at.input(0)


@GRADIENTS("Sqrt")
def _sqrt(at: Site) -> Tensor:
    return at.gradient * 0.5 / at.output()


@slope("Reciprocal")
def _reciprocal(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return -(y * y)


@slope("Erf")
def _erf(x: Tensor, _y: Tensor, _at: Site) -> Tensor:
    return x.op("Exp", -(x * x)) * (2 / sqrt(pi))


@slope("Sin")
def _sin(x: Tensor, _y: Tensor, _at: Site) -> Tensor:
    return x.op("Cos", x)


@slope("Cos")
def _cos(x: Tensor, _y: Tensor, _at: Site) -> Tensor:
    return -x.op("Sin", x)


@slope("Tan")
def _tan(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return 1 + y * y


@GRADIENTS("Asin")
def _asin(at: Site) -> Tensor:
    x = at.input(0)
    return at.gradient / at.op("Sqrt", 1 - x * x)


@GRADIENTS("Acos")
def _acos(at: Site) -> Tensor:
    x = at.input(0)
    return -(at.gradient / at.op("Sqrt", 1 - x * x))


@GRADIENTS("Atan")
def _atan(at: Site) -> Tensor:
    x = at.input(0)
    return at.gradient / (1 + x * x)


@slope("Sinh")
def _sinh(x: Tensor, _y: Tensor, _at: Site) -> Tensor:
    return x.op("Cosh", x)


@slope("Cosh")
def _cosh(x: Tensor, _y: Tensor, _at: Site) -> Tensor:
    return x.op("Sinh", x)


@slope("Tanh")
def _tanh(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return 1 - y * y


@GRADIENTS("Asinh")
def _asinh(at: Site) -> Tensor:
    x = at.input(0)
    return at.gradient / at.op("Sqrt", x * x + 1)


@GRADIENTS("Acosh")
def _acosh(at: Site) -> Tensor:
    x = at.input(0)
    return at.gradient / at.op("Sqrt", x * x - 1)


@GRADIENTS("Atanh")
def _atanh(at: Site) -> Tensor:
    x = at.input(0)
    return at.gradient / (1 - x * x)


@slope("Sigmoid")
def _sigmoid(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return y * (1 - y)
