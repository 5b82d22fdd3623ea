"""The criterion ``obs``: Optimal Brain Surgeon for each layer, with reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from pydantic import Field

from onnxpress_pruning.criteria.activations import OfProducts
from onnxpress_pruning.criteria.criterion import ElementScores, Scores, Subject

if TYPE_CHECKING:
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight


@final
class Obs(OfProducts):
    """``w² / [H⁻¹]_jj``: by how much the outputs of the layer change if w goes (Hassibi 1993).

    H = 2 X Xᵀ of what the layer is fed, with 1 % of its mean diagonal added (Frantar & Alistarh
    2023); the other weights of the same output make up for w.  The scores of a layer are divided
    by the squared norm of its outputs, so that layers can be ranked together.

    Single weights and N:M along input channels are chosen column by column while errors are
    passed on, as SparseGPT does, each layer fed by what is pruned already; other structures by
    these scores.  In both cases the weights that stay are those with which the layer gives, in
    the least squares, what it gave before.  Weights of Conv, ConvTranspose, Gemm and MatMul.
    """

    name: ClassVar[str] = "obs"
    rebuilds: ClassVar = True

    damp: float = Field(
        default=0.01,
        gt=0,
        description="added to the diagonal of H, as a share of its mean: more trusts data less",
    )

    def refusal(self, model: Model, layer: Layer, weight: Weight) -> str | None:
        from onnxpress_pruning.reconstruction.rebuild import rebuild_refusal

        return super().refusal(model, layer, weight) or rebuild_refusal(model, layer)

    def elements(self, subject: Subject) -> ElementScores:
        scores = _scores(subject, self.damp)
        return lambda weight: scores[weight.name]


def _scores(subject: Subject, damp: float) -> dict[str, Scores]:
    from onnxpress_pruning.reconstruction.moments import second_moments
    from onnxpress_pruning.reconstruction.solve import saliency, set_up
    from onnxpress_pruning.reconstruction.watching import watched

    found: dict[str, Scores] = {}
    for product, arrays in watched(subject, "criterion=obs"):
        array = product.weight.array()
        weights = product.matrix(array).astype(np.float64)
        scores = np.empty_like(weights)
        energy = 0.0
        (parts,) = second_moments([(product, product)], arrays, None, subject.model.opset)
        for part in parts:
            here = weights[..., part.columns]
            scores[..., part.columns] = saliency(set_up(here, here, part, damp), here)
            energy += float(np.einsum("grc,gcd,grd->", here, part.own, here, optimize=True))
        found[product.weight.name] = product.stored(
            scores / (energy or 1.0), np.zeros(array.shape, np.float64)
        )
    return found
