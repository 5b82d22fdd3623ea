"""Choosing between elements: the gradient goes to the one that was chosen."""

from __future__ import annotations

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("Max", "Min")
def _extreme(at: Site) -> Gradients:
    """Elements that share the extreme share the gradient, as in PyTorch."""
    y, count = at.output(), len(at.x)
    chosen = [at.input(i).equal(y).cast(y.dtype) for i in range(count)]
    share = at.gradient / _sum(chosen)
    return [at.unbroadcast(share * chosen[i], i) if at.needs(i) else None for i in range(count)]


def _sum(terms: list[Tensor]) -> Tensor:
    return terms[0] if len(terms) == 1 else terms[0].op("Sum", *terms)


@GRADIENTS("Where")
def _where(at: Site) -> Gradients:
    """`Where` again, slow as it is: a factor of 0 would make NaN of ∞ on the branch not taken."""
    condition, dy = at.input(0), at.gradient
    zero = at.op.constant(0, dy.dtype or at.output().dtype)
    left = at.unbroadcast(at.op("Where", condition, dy, zero), 1) if at.needs(1) else None
    right = at.unbroadcast(at.op("Where", condition, zero, dy), 2) if at.needs(2) else None
    return None, left, right


@GRADIENTS("Clip")
def _clip(at: Site) -> Gradients:
    """``y = min(max(x, low), high)``; at the bounds, ``x`` still gets all of the gradient."""
    dy, x = at.gradient, at.input(0)
    dx = dy * x.equal(at.output()).cast(x.dtype)
    low = _bounded(at, _below(at), 1) if at.needs(1) else None
    return dx, low, _bounded(at, _above(at), 2) if at.needs(2) else None


def _below(at: Site) -> Tensor:
    low, raised = at.input(1), at.input(0) < at.input(1)
    return at.op("And", raised, low <= at.input(2)) if at.has(2) else raised


def _above(at: Site) -> Tensor:
    high, lowered = at.input(2), at.input(0) > at.input(2)
    return at.op("Or", lowered, at.input(1) > high) if at.has(1) else lowered


def _bounded(at: Site, where: Tensor, index: int) -> Tensor | None:
    return at.unbroadcast(at.gradient * where.cast(at.gradient.dtype), index)
