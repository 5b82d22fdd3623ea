"""Local response normalization: every element is divided by its neighbours across channels."""

from __future__ import annotations

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("LRN")
def _local_response(at: Site) -> Tensor:
    """With ``d = bias + alpha/size · Σ x²`` over `size` neighbours, ``y = x · d^-beta``.

    ``dx = dy · d^-beta - 2 · alpha · beta / size · x · Σ (dy · x · d^(-beta-1))``, where the
    sum is over the elements that this one is a neighbour of.
    """
    x, dy, size = at.input(0), at.gradient, at.integer("size")
    alpha, beta = at.number("alpha", 1e-4), at.number("beta", 0.75)
    before, behind = (size - 1) // 2, size - 1 - (size - 1) // 2
    d = _means(x * x, size, before, behind) * alpha + at.number("bias", 1.0)
    scaled = dy * d**-beta
    return scaled - x * _means(scaled * x / d, size, behind, before) * (2 * alpha * beta)


def _means(x: Tensor, size: int, before: int, behind: int) -> Tensor:
    """Average over neighbouring channels; those beyond the first and the last count as 0."""
    flat = x.reshape(0, 0, -1).unsqueeze(1)
    found = x.op(
        "AveragePool", flat, kernel_shape=[size, 1], pads=[before, 0, behind, 0],
        count_include_pad=1,
    )  # fmt: skip
    return found.reshape_like(x)
