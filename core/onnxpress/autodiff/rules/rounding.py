"""Functions that are flat wherever they have a slope: zero, or straight-through if asked."""

from __future__ import annotations

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients


@GRADIENTS("Sign", "Floor", "Ceil", "Round")
def _rounding(at: Site) -> Gradients:
    """The identity for the operators in `Walk.through` (Bengio et al. 2013), else nothing."""
    return at.gradient if at.node.op_type in at.walk.through else None


@GRADIENTS("Hardmax")
def _hardmax(_at: Site) -> Gradients:
    return None
