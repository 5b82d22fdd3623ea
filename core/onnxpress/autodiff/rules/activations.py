"""Activation functions.

Which branch an element is on becomes a factor of 0 or 1: in ONNX Runtime on a CPU, `Where`
takes about five times as long as a comparison, a `Cast` and a `Mul` together.
"""

from __future__ import annotations

from math import pi, sqrt

from onnxpress.autodiff.rules.elementwise import slope
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor

_SELU_ALPHA, _SELU_GAMMA = 1.6732632423543772, 1.0507009873554805  # the defaults of the standard


def _where(condition: Tensor, like: Tensor) -> Tensor:
    """Return 1 where a condition holds and 0 elsewhere, in the element type of `like`."""
    return condition.cast(like.dtype)


@slope("Relu")
def _relu(_x: Tensor, y: Tensor, _at: Site) -> Tensor:
    return _where(y > 0, y)


@slope("LeakyRelu")
def _leaky_relu(x: Tensor, _y: Tensor, at: Site) -> Tensor:
    alpha = at.number("alpha", 0.01)
    return _where(x > 0, x) * (1 - alpha) + alpha


@GRADIENTS("PRelu")
def _prelu(at: Site) -> Gradients:
    """``y = x`` where x > 0, ``slope · x`` elsewhere."""
    dy, x, leak = at.gradient, at.input(0), at.input(1)
    dx = dy * (_where(x > 0, x) * (1 - leak) + leak) if at.needs(0) else None
    return dx, at.unbroadcast(dy * at.op("Min", x, 0), 1) if at.needs(1) else None


@slope("ThresholdedRelu")
def _thresholded_relu(x: Tensor, _y: Tensor, at: Site) -> Tensor:
    return _where(x > at.number("alpha", 1.0), x)


@slope("Shrink")
def _shrink(x: Tensor, _y: Tensor, at: Site) -> Tensor:
    return _where(x.op("Abs", x) > at.number("lambd", 0.5), x)


@slope("Elu")
def _elu(x: Tensor, _y: Tensor, at: Site) -> Tensor:
    return _bent(x, at.number("alpha", 1.0), 1)


@slope("Selu")
def _selu(x: Tensor, _y: Tensor, at: Site) -> Tensor:
    gamma = at.number("gamma", _SELU_GAMMA)
    return _bent(x, gamma * at.number("alpha", _SELU_ALPHA), gamma)


@slope("Celu")
def _celu(x: Tensor, _y: Tensor, at: Site) -> Tensor:
    return _bent(x / at.number("alpha", 1.0), 1, 1)


def _bent(x: Tensor, left: float, right: float) -> Tensor:
    """Return ``left · exp(x)`` where x <= 0, and `right` elsewhere."""
    curve = x.op("Exp", x.op("Min", x, 0))
    scaled = curve if left == 1 else curve * left
    return scaled if left == right else scaled + _where(x > 0, x) * (right - left)


@slope("HardSigmoid")
def _hard_sigmoid(_x: Tensor, y: Tensor, at: Site) -> Tensor:
    return _inside(y) * at.number("alpha", 0.2)


@slope("HardSwish")
def _hard_swish(x: Tensor, _y: Tensor, _at: Site) -> Tensor:
    """``y = x · h(x)`` with ``h = HardSigmoid(1/6, 1/2)``."""
    gate = x.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    return gate + x * _inside(gate) * (1 / 6)


def _inside(gate: Tensor) -> Tensor:
    return _where(gate.op("And", gate > 0, gate < 1), gate)


@slope("Swish")
def _swish(x: Tensor, y: Tensor, at: Site) -> Tensor:
    """``y = x · s`` with ``s = sigmoid(a x)``: ``s + a y (1 - s)``."""
    alpha = at.number("alpha", 1.0)
    s = x.op("Sigmoid", x if alpha == 1 else x * alpha)
    return s + y * (1 - s) * alpha


@slope("Mish")
def _mish(x: Tensor, _y: Tensor, _at: Site) -> Tensor:
    """``y = x · t`` with ``t = tanh(softplus(x))``: ``t + x (1 - t²) sigmoid(x)``."""
    t = x.op("Tanh", x.op("Softplus", x))
    return t + x * (1 - t * t) * x.op("Sigmoid", x)


@slope("Gelu")
def _gelu(x: Tensor, _y: Tensor, at: Site) -> Tensor:
    """``y = xΦ(x)``: ``Φ(x) + xφ(x)``, of the normal distribution or of its approximation."""
    if at.text("approximate", "none") == "tanh":
        return _gelu_tanh(x)
    below = x.op("Erf", x * sqrt(0.5)) * 0.5 + 0.5
    return below + x * x.op("Exp", x * x * -0.5) * (1 / sqrt(2 * pi))


def _gelu_tanh(x: Tensor) -> Tensor:
    """``y = x/2 (1 + t)`` with ``t = tanh(√(2/π) (x + c x³))`` and ``c = 0.044715``."""
    square, scale = x * x, sqrt(2 / pi)
    t = x.op("Tanh", x * (square * (scale * 0.044715) + scale))
    inner = square * (3 * scale * 0.044715) + scale
    return t * 0.5 + 0.5 + x * (1 - t * t) * inner * 0.5


@slope("Softplus")
def _softplus(x: Tensor, _y: Tensor, _at: Site) -> Tensor:
    return x.op("Sigmoid", x)


@GRADIENTS("Softsign")
def _softsign(at: Site) -> Tensor:
    below = 1 + at.op("Abs", at.input(0))
    return at.gradient / (below * below)
