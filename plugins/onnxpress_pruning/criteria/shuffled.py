"""``shuffled``: any criterion with its scores mixed up within each layer, as a control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, final
from zlib import crc32

import numpy as np
from pydantic import BeforeValidator, Field

from onnxpress_pruning.criteria.criterion import (
    ChannelScores,
    Criterion,
    ElementScores,
    Scores,
    Subject,
)

if TYPE_CHECKING:
    from onnxpress.channels import Group
    from onnxpress.graph.weights import Weight


def _as_criterion(written: object) -> Criterion:
    from onnxpress.recipe.chosen import choose
    from onnxpress_pruning.criteria.known import MAGNITUDE, SALIENCY

    known = {**MAGNITUDE, **SALIENCY}
    found: Criterion = choose(Criterion, known, "criterion", written)
    if found.within == "output":
        raise ValueError(f"{found.name} compares weights of one output only: nothing to mix up")
    return found


@final
class Shuffled(Criterion):
    """The scores of another criterion, permuted at random within each tensor or group.

    How much every layer loses stays the same; which of its weights go is chance.  A criterion
    that is not better than that tells layers apart, not weights (Frankle et al. 2021).  Same
    seed, same permutation.
    """

    name: ClassVar[str] = "shuffled"

    of: Annotated[Any, BeforeValidator(_as_criterion)] = Field(
        default="snip", validate_default=True, description="the criterion whose scores are mixed up"
    )

    def elements(self, subject: Subject) -> ElementScores:
        inner, seed = self.of.elements(subject), subject.job.seed

        def elements(weight: Weight) -> Scores:
            return _permuted(inner(weight), seed, weight.name)

        return elements

    def channels(self, subject: Subject, groups: Sequence[Group]) -> ChannelScores:
        inner, seed = self.of.channels(subject, groups), subject.job.seed
        return lambda group: _permuted(inner(group), seed, group.name)


def _permuted(scores: Scores, seed: int, name: str) -> Scores:
    rng = np.random.default_rng([seed, crc32(name.encode())])
    return rng.permutation(scores.ravel()).reshape(scores.shape)
