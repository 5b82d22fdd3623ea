"""``obd``: the curvature of the loss along each weight."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from onnxpress_pruning.criteria.criterion import ElementScores, Subject
from onnxpress_pruning.criteria.gradients import Saliency, looked_up
from onnxpress_pruning.criteria.passes import open_targets
from onnxpress_pruning.criteria.weights import floats


@final
class Obd(Saliency):
    """``½ H w²``, with the diagonal H of the Gauss-Newton matrix (LeCun et al. 1990, eq. 5).

    ``mean_n J_nᵀ L_n J_n``, where J_n is the Jacobian of the model's scores for sample n and L_n
    the Hessian of the loss with respect to them: exact, but for models of more than 32 outputs,
    for which 8 columns of a root of L_n are drawn for each sample (unbiased, same seed, same
    draws).  It is never negative, and where the scores are piecewise linear in each weight
    (ReLU, max pooling, normalisation by running statistics) it equals the diagonal of the
    Hessian; elsewhere it leaves out the curvature of the model itself, as LeCun et al. do
    (their Levenberg-Marquardt approximation).

    The model runs sample by sample, once for every column, on all cores.
    """

    name: ClassVar[str] = "obd"

    def elements(self, subject: Subject) -> ElementScores:
        from onnxpress_pruning.criteria.curvature import Curvature

        slope, weights = open_targets(subject, self.name)
        curvature = Curvature(slope, list(weights), subject.job.seed).mean()
        return looked_up({n: curvature[n] * np.square(floats(w)) / 2 for n, w in weights.items()})
