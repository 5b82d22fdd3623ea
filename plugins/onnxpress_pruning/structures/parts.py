"""Structures that prune a share of equal parts of a tensor: what ranks and counts them.

A part is a single weight or a block of them.  The number of parts that go is exact: the
share times the number of parts, half to even; of equal scores, the first goes first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import onnx_ir as ir

from onnxpress_pruning.ranking import Cut, Ranked, find_cut, rank
from onnxpress_pruning.structures.structure import Choice, MaskStructure

if TYPE_CHECKING:
    from onnxpress.graph.weights import Weight
    from onnxpress_pruning.criteria.criterion import ElementScores, Scores
    from onnxpress_pruning.ranking import Mask, Precision
    from onnxpress_pruning.targets import Target


@dataclass(frozen=True, slots=True)
class Distribution:
    """Over what a share is taken.

    Attributes:
        scope: ``layer``: of each tensor; ``global``: of all together, ranked as one.
        of: ``all``: of all parts, zeros that are there count; ``remaining``: of those that
            are not zero (as PyTorch does when it prunes again).
        at_most: The largest share of one tensor that may be zero; 1 leaves one part.
        threshold: Instead of a share: what scores no more than this goes.
        deviations: Instead of a share: so many standard deviations of the weights of a tensor
            are its threshold.
    """

    scope: Literal["layer", "global"] = "layer"
    of: Literal["all", "remaining"] = "all"
    at_most: float = 1.0
    threshold: float | None = None
    deviations: float | None = None

    def limit(self, weight: Weight) -> float | None:
        """Return the score up to which parts of a tensor go; None if a share decides."""
        if self.deviations is not None:
            return self.deviations * float(np.std(weight.array(), dtype=np.float64))
        return self.threshold

    def keep(self, parts: int) -> int:
        """Return how many parts of a tensor must stay, at least one."""
        return max(1, parts - round(self.at_most * parts))

    def count(self, share: float, parts: int, zeros: int) -> int:
        """Return how many of `parts` are to be zero, of which `zeros` are already."""
        if self.of == "remaining":
            return zeros + round(share * (parts - zeros))
        return round(share * parts)

    @property
    def bound(self) -> str:
        """The bound of a tensor in words."""
        if self.at_most < 1:
            return f"at most {self.at_most:g} of a tensor may be zero"
        return "a tensor keeps at least one weight"


@dataclass(frozen=True)
class PartStructure(MaskStructure):
    """A structure that prunes a share of equal parts.

    Attributes:
        noun: What a part is called in reports.
        distribution: Over what the share is taken.
    """

    noun: ClassVar[str] = "weights"

    distribution: Distribution = Distribution()

    @abstractmethod
    def pool(self, weight: Weight, scores: Scores) -> Scores:
        """Return a score for each part from those of the elements; any shape."""

    @abstractmethod
    def zero(self, weight: Weight) -> Mask:
        """Return which parts of a tensor are zero throughout, flat."""

    @abstractmethod
    def spread(self, weight: Weight, goes: Mask) -> Mask:
        """Return which elements go if these parts go, both flat."""

    @abstractmethod
    def parts(self, weight: Weight) -> int:
        """Return into how many parts a tensor falls."""

    def choices(
        self, targets: Sequence[Target], scores: ElementScores, share: float | None = None
    ) -> Iterator[Choice]:
        if share is not None:
            targets = [replace(target, sparsity=share) for target in targets]
        if self.distribution.scope == "global":
            yield from self._among(targets, scores)
            return
        for target in targets:
            yield from self._among([target], scores)

    def _among(self, targets: Sequence[Target], scores: ElementScores) -> Iterator[Choice]:
        """Choose the lowest parts of all `targets`, which have the same share.

        Scores are computed again whenever they are needed, so that those of one tensor at
        a time are in memory.
        """
        if not targets:
            return
        precision = _precision(targets)

        def ranked(target: Target) -> Ranked:
            pooled = self.pool(target.weight, scores(target.weight))
            zero = self.zero(target.weight)
            return rank(pooled, zero, precision, self.distribution.keep(zero.size))

        ranks = _each(targets, ranked)
        limit = self.distribution.limit(targets[0].weight)
        if limit is None:
            count = self._count(targets)
            cut = find_cut(lambda: (r.scores for r in ranks()), count, precision)
        else:
            count = -1
            cut = Cut(float(np.nextafter(precision.type(limit), precision.type(np.inf))), 0)
        left = cut
        for target, ranking in zip(targets, ranks(), strict=True):
            goes, left = left.split(ranking.scores)
            bound = self.distribution.bound if ranking.held < cut.score else ""
            reason = bound or self._why_nothing(target, count, cut)
            yield Choice(self.spread(target.weight, goes), bound, f"{target.weight.name}: {reason}")

    def _count(self, targets: Sequence[Target]) -> int:
        parts = sum(self.parts(target.weight) for target in targets)
        zeros = 0
        if self.distribution.of == "remaining":
            zeros = sum(int(self.zero(target.weight).sum()) for target in targets)
        return self.distribution.count(targets[0].sparsity, parts, zeros)

    def _why_nothing(self, target: Target, count: int, cut: Cut) -> str:
        parts = f"{self.parts(target.weight):,} {self.noun}"
        if count < 0:
            return f"none of its {parts} that are not zero scores less than {cut.score:g}"
        if count == 0:
            return f"sparsity {target.sparsity:g} of {parts} rounds to none"
        if cut.score == -np.inf:
            return f"there are the {count:,} zeros that are wanted already, or more"
        return f"none of its {parts} is among the smallest {count:,} of all"


def _precision(targets: Sequence[Target]) -> Precision:
    double = any(target.weight.dtype == ir.DataType.DOUBLE for target in targets)
    return np.dtype(np.float64) if double else np.dtype(np.float32)


def _each(
    targets: Sequence[Target], ranked: Callable[[Target], Ranked]
) -> Callable[[], Iterator[Ranked]]:
    """Return what goes through the rankings of all; that of a single one is kept."""
    if len(targets) == 1:
        only = ranked(targets[0])
        return lambda: iter([only])
    return lambda: map(ranked, targets)
