"""The two gradients of ``y = a ^ b``, in the shape of ``y``."""

from __future__ import annotations

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.tensor import Tensor

_HALF, _SQUARE = 0.5, 2


def of_base(at: Site) -> Tensor:
    """``da = dy · b · a^(b-1)``."""
    fixed = at.constant(1)
    if fixed is not None and fixed.size == 1:
        return _of_base(at, float(fixed.reshape(-1)[0]))
    a, b = at.input(0), _exponent(at)
    # Without this, 0^0 would get 0 · ∞.
    lifted = b + at.op("And", a.equal(0), b.equal(0)).cast(a.dtype)
    return at.gradient * b * at.op("Pow", a, lifted - 1)


def _of_base(at: Site, b: float) -> Tensor:
    dy, a = at.gradient, at.input(0)
    if b == 0:
        return at.op.zeros_like(at.output())
    if b == 1:
        return dy
    if b == _HALF:
        return dy * _HALF / at.output()
    return dy * (a if b == _SQUARE else a ** (b - 1)) * b


def of_exponent(at: Site) -> Tensor:
    """``db = dy · y · ln a``; 0 where a <= 0, where powers are no smooth function of b."""
    a, y = at.input(0), at.output()
    above = (a > 0).cast(a.dtype)
    return at.gradient * y * at.op("Log", a * above + (1 - above))


def _exponent(at: Site) -> Tensor:
    """Return the exponent in the element type of the base; it may be an integer."""
    return at.input(1).cast(at.input(0).dtype)
