"""Normalizing along one axis."""

from __future__ import annotations

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("Softmax", since=13)
def _softmax(at: Site) -> Tensor:
    """``dx = y (dy - Σ dy y)``."""
    dy, y = at.gradient, at.output()
    return y * (dy - (dy * y).sum((at.axis(),)))


@GRADIENTS("LogSoftmax", since=13)
def _log_softmax(at: Site) -> Tensor:
    """``dx = dy - e^y Σ dy``."""
    dy = at.gradient
    return dy - at.op("Exp", at.output()) * dy.sum((at.axis(),))


@GRADIENTS("LpNormalization")
def _lp_normalization(at: Site) -> Tensor:
    """``y = x / n``: ``dx = (dy - dn/dx Σ dy y) / n``, and 0 where the norm ``n`` is."""
    dy, x, y, over = at.gradient, at.input(0), at.output(), (at.axis(),)
    square = at.integer("p", 2) != 1
    norm = at.op.reduce("ReduceL2" if square else "ReduceL1", x, over, keepdims=True)
    zero = norm.equal(0).cast(norm.dtype)
    steepest = y if square else at.op("Sign", x)
    return (dy - steepest * (dy * y).sum(over)) * ((1 - zero) / (norm + zero))
