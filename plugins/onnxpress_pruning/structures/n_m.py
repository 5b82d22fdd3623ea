"""The structure ``n:m``: of every M weights in a row, N stay (Mishra et al. 2021: 2:4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal, TypeAlias, final

import numpy as np

from onnxpress_pruning.structures.structure import Choice, MaskStructure

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.weights import Weight
    from onnxpress_pruning.criteria.criterion import ElementScores, Scores
    from onnxpress_pruning.ranking import Mask
    from onnxpress_pruning.targets import Target

Along: TypeAlias = Literal["input", "output"] | int
_CHUNK = 1 << 20  # scores at a time


@final
@dataclass(frozen=True)
class NM(MaskStructure):
    """Of every M weights in a row, the N with the highest scores stay.

    Rows run along one axis, for every place on the other axes by itself: by default along
    the input channels, so that a Conv has a pattern for each output channel and each place
    of its kernel.  If M does not divide the axis, zeros are added at the end, and count as
    pruned: N of the last group stay, or all if it has no more.  Of equal scores, the first
    goes first.

    Attributes:
        keep: N, how many stay; at least 1, less than `of`.
        of: M.
        along: ``input`` channels, ``output`` channels, or the number of a stored axis.  What
            has no input channels, an embedding, is taken along each of its rows.
    """

    keep: int = 2
    of: int = 4
    along: Along = "input"

    def choices(
        self, targets: Sequence[Target], scores: ElementScores, share: float | None = None
    ) -> Iterator[Choice]:
        del share  # the pattern has its own
        kept = f"it keeps no more than {self.keep} of every {self.of}"
        for target in targets:
            weight = target.weight
            axis = self.axis(weight)
            assert axis is not None  # `refusal` was asked
            goes = n_of_m(_ranks(weight, scores(weight)), self.keep, self.of, axis)
            reason = f"{weight.name}: {kept} along axis {axis} already"
            yield Choice(goes.ravel(), reason=reason)

    def refusal(self, weight: Weight) -> str | None:
        axis = self.axis(weight)
        if axis is None:
            return f"{weight.name} has no axis {self.along!r} to take {self.of} in a row along"
        if (length := weight.shape[axis]) < self.of:
            return (
                f"{weight.name} has only {length} along axis {axis} ({self.along}), "
                f"and the pattern {self.keep}:{self.of} needs {self.of}"
            )
        return None

    def axis(self, weight: Weight) -> int | None:
        """Return the stored axis along which rows run, None if there is none."""
        rank = len(weight.shape)
        if isinstance(self.along, int):
            return self.along % rank if -rank <= self.along < rank else None
        if self.along == "output" or _is_table(weight):
            return weight.output_axis
        return weight.input_axis


def n_of_m(ranks: Array, keep: int, of: int, axis: int) -> Mask:
    """Return which elements go so that `keep` of every `of` along `axis` stay.

    Args:
        ranks: Scores without NaN; what is minus infinity goes first.
        keep: N.
        of: M, of any size; the end of the axis is padded with what goes first.
        axis: Along which groups are formed; may be shorter than `of`.
    """
    moved = np.moveaxis(ranks, axis, -1)
    length = moved.shape[-1]
    padded = np.full((*moved.shape[:-1], -(-length // of) * of), -np.inf, ranks.dtype)
    padded[..., :length] = moved
    groups = padded.reshape(-1, of)
    step = max(1, _CHUNK // of)
    parts = [_lowest(groups[i : i + step], of - keep) for i in range(0, len(groups), step)]
    goes = np.concatenate(parts) if parts else np.zeros(groups.shape, bool)
    return np.moveaxis(goes.reshape(padded.shape)[..., :length], -1, axis)


def _lowest(groups: Scores, count: int) -> Mask:
    """Return where the `count` lowest of each row are; of equal ones the first.

    Counts for each how many are lower: faster than to sort, as rows are short.
    """
    columns = [np.ascontiguousarray(column) for column in groups.T]
    lower = np.zeros((len(columns), len(groups)), np.int32)
    for i, j in combinations(range(len(columns)), 2):
        first_is_higher = columns[i] > columns[j]
        lower[i] += first_is_higher
        lower[j] += ~first_is_higher
    lowest: Mask = np.less(lower.T, count)
    return lowest


def _ranks(weight: Weight, scores: Scores) -> Scores:
    """Return scores in which zeros come first, and what is not a number last."""
    return np.where(weight.array() == 0, -np.inf, np.where(np.isnan(scores), np.inf, scores))


def _is_table(weight: Weight) -> bool:
    """Whether a tensor has outputs but no inputs to take in a row: an embedding."""
    return weight.role == "weight" and weight.input_axis is None
