"""Losses for classification.

With labels ``l``, weights ``w_n = weight[l_n]`` (0 for labels to ignore) and log-probabilities
``p``, the loss of one place is ``-w_n p[n, l_n]``; `mean` divides the sum by ``Σ w_n``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("NegativeLogLikelihoodLoss")
def _negative_log_likelihood(at: Site) -> Gradients:
    loss = _Loss(at)
    dx = -loss.chosen * loss.arriving.unsqueeze(1) if at.needs(0) else None
    return dx, None, loss.of_weights(at.input(0)) if at.needs(2) else None


@GRADIENTS("SoftmaxCrossEntropyLoss")
def _softmax_cross_entropy(at: Site) -> Gradients:
    """``dx = g (softmax(x) - onehot(l))``, with ``g`` what arrives at a place."""
    loss, x = _Loss(at), at.input(0)
    log = at.y[1] if len(at.y) > 1 else None
    log = log or at.op("LogSoftmax", x, axis=1)
    dx: Tensor | None = None
    if at.needs(0):
        terms = []
        if at.dy[0] is not None:
            soft = at.op("Softmax", x, axis=1)
            terms.append((soft - loss.chosen) * loss.arriving.unsqueeze(1))
        if len(at.dy) > 1 and (dlog := at.dy[1]) is not None:
            terms.append(dlog - at.op("Exp", log) * dlog.sum((1,)))
        dx = at.op.add(terms)
    return dx, None, loss.of_weights(log) if at.needs(2) and at.dy[0] is not None else None


@dataclass(frozen=True)
class _Loss:
    """What both losses have in common.

    Attributes:
        at: The node: scores or log-probabilities, labels, and perhaps weights.
    """

    at: Site

    @cached_property
    def valid(self) -> Tensor | None:
        """1 for labels that count and 0 for those to ignore; None if all count."""
        if "ignore_index" not in self.at.node.attributes:
            return None
        labels = self.at.input(1)
        return self.at.op("Not", labels.equal(self.at.integer("ignore_index"))).cast(self.dtype)

    @cached_property
    def labels(self) -> Tensor:
        """The labels, int64, 0 for those to ignore."""
        labels = self.at.input(1).cast(ir.DataType.INT64)
        return labels if self.valid is None else labels * self.valid.cast(ir.DataType.INT64)

    @property
    def dtype(self) -> ir.DataType | None:
        """The element type of scores and weights."""
        return self.at.input(0).dtype

    @cached_property
    def chosen(self) -> Tensor:
        """1 at the label of every place, 0 elsewhere; in the shape of the scores."""
        op, x = self.at.op, self.at.input(0)
        off_on = op.constant(np.array([0, 1], np.float32))
        made = op("OneHot", self.labels, x.size(1), off_on, axis=1)
        return op.typed(made.value, ir.DataType.FLOAT, x.shape).cast(x.dtype)

    @cached_property
    def weight(self) -> Tensor | None:
        """The weight of every place; None if it is 1 everywhere."""
        if not self.at.has(2):
            return self.valid
        of_label = self.at.op("Gather", self.at.input(2), self.labels)
        return of_label if self.valid is None else of_label * self.valid

    @cached_property
    def share(self) -> Tensor:
        """What arrives at every place, but for its weight: one element, or one for each."""
        dy = self.at.gradient
        return dy / self.total if self.at.text("reduction", "mean") == "mean" else dy

    @cached_property
    def total(self) -> Tensor:
        """The sum of the weights."""
        if self.weight is None:
            return self.at.op("Size", self.at.input(1)).cast(self.dtype)
        return self.weight.sum(keepdims=False)

    @cached_property
    def arriving(self) -> Tensor:
        """What arrives at every place, in the shape of the labels."""
        weight = self.weight
        return self.share.expand_like(self.labels) if weight is None else self.share * weight

    def of_weights(self, log: Tensor) -> Tensor:
        """Return the gradient of the weights: every place adds to that of its label.

        A place adds ``-p[n, l_n]``; if the loss is a mean, less the mean.
        """
        picked = self.at.op("GatherElements", log, self.labels.unsqueeze(1), axis=1)
        excess = -picked
        if self.at.text("reduction", "mean") == "mean":
            excess = excess - self.at.output()
        share = self.share if self.valid is None else self.share * self.valid
        share = share.expand_like(self.labels).unsqueeze(1)
        return self._by_label(excess * share)

    def _by_label(self, places: Tensor) -> Tensor:
        """Sum over all axes but that of the classes, whose number may be all that is known."""
        op, spread = self.at.op, self.chosen * places
        rank = spread.rank
        if rank is not None:
            return spread.sum((0, *range(2, rank)), keepdims=False)
        merged = op("Reshape", spread, op.ints(0, 0, -1))
        return merged.sum((0, 2), keepdims=False)
