"""Arithmetic of several tensors with broadcasting."""

from __future__ import annotations

from onnxpress.autodiff.rules.powers import of_base, of_exponent
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients


@GRADIENTS("Add", "Sum")
def _add(at: Site) -> Gradients:
    return [at.unbroadcast(at.gradient, i) for i in range(len(at.x))]


@GRADIENTS("Mean")
def _mean(at: Site) -> Gradients:
    share = at.gradient / len(at.x)
    return [at.unbroadcast(share, i) for i in range(len(at.x))]


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


@GRADIENTS("Mod")
def _mod(at: Site) -> Gradients:
    """``y = a - b · n`` with a whole ``n``, however it is rounded: ``db = -n · dy``."""
    dy, a, b = at.gradient, at.input(0), at.input(1)
    right = at.unbroadcast(dy * (at.output() - a) / b, 1) if at.needs(1) else None
    return at.unbroadcast(dy, 0), right


@GRADIENTS("Pow")
def _pow(at: Site) -> Gradients:
    left = at.unbroadcast(of_base(at), 0) if at.needs(0) else None
    return left, at.unbroadcast(of_exponent(at), 1) if at.needs(1) else None


@GRADIENTS("CumSum")
def _cum_sum(at: Site) -> Gradients:
    exclusive, reverse = at.integer("exclusive"), at.integer("reverse")
    return at.op("CumSum", at.gradient, at.input(1), exclusive=exclusive, reverse=1 - reverse)
