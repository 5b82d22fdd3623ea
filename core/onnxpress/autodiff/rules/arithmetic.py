"""Arithmetic of several tensors with broadcasting."""

from __future__ import annotations

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("Add", "Sum")
def _add(at: Site) -> Gradients:
    return [at.unbroadcast(at.gradient, i) for i in range(len(at.x))]


@GRADIENTS("Sub")
def _sub(at: Site) -> Gradients:
    dy = at.gradient
    right = at.unbroadcast(dy, 1)
    return at.unbroadcast(dy, 0), None if right is None else -right


@GRADIENTS("Mul")
def _mul(at: Site) -> Gradients:
    dy, a, b = at.gradient, at.input(0), at.input(1)
    left = at.unbroadcast(dy * b, 0) if at.needs(0) else None
    return left, at.unbroadcast(dy * a, 1) if at.needs(1) else None


@GRADIENTS("Div")
def _div(at: Site) -> Gradients:
    scaled = at.gradient / at.input(1)
    right = at.unbroadcast(-(scaled * at.output()), 1) if at.needs(1) else None
    return at.unbroadcast(scaled, 0), right


@GRADIENTS("Neg")
def _neg(at: Site) -> Tensor:
    return -at.gradient


@GRADIENTS("Identity")
def _identity(at: Site) -> Tensor:
    return at.gradient
