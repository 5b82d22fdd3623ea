"""What goes of a layer, chosen while its weights are solved for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, final

import numpy as np
import numpy.typing as npt

Matrix: TypeAlias = npt.NDArray[np.float64]
Goes: TypeAlias = npt.NDArray[np.bool_]
"""Of shape (groups, rows, columns): true where a weight goes."""

BLOCK: Final = 128
"""Columns within which is chosen at once (SparseGPT's block)."""


class Choice(ABC):
    """Which weights of a layer go, besides those that are zero already."""

    @abstractmethod
    def parts(self, columns: int) -> Sequence[slice]:
        """Cut `columns` columns into parts; within one of them is chosen at once."""

    @abstractmethod
    def goes(self, scores: Matrix, part: slice, gone: int) -> Goes:
        """Choose in one part.

        Args:
            scores: Of shape (groups, rows, width); what scores lowest goes, and what scores
                minus infinity is gone already.
            part: Which columns.
            gone: How many weights went in the columns before.
        """

    @abstractmethod
    def within(self, columns: slice) -> Choice:
        """Return the same for some columns of the layer."""


@final
@dataclass(frozen=True, slots=True)
class Share(Choice):
    """A share of all weights: about as many in each block of columns, and exactly in all.

    Attributes:
        share: The share.
        start: How many columns are before these.
    """

    share: float
    start: int = 0

    def parts(self, columns: int) -> Sequence[slice]:
        return _cut(0, columns, BLOCK)

    def goes(self, scores: Matrix, part: slice, gone: int) -> Goes:
        height = scores.shape[0] * scores.shape[1]
        upto = round(self.share * height * (self.start + part.stop))
        count = upto - round(self.share * height * self.start) - gone
        flat = np.zeros(scores.size, np.bool_)
        flat[np.argsort(scores, axis=None, kind="stable")[: max(count, 0)]] = True
        return flat.reshape(scores.shape)

    def within(self, columns: slice) -> Choice:
        return replace(self, start=self.start + columns.start)


@final
@dataclass(frozen=True, slots=True)
class NOfM(Choice):
    """All but `keep` of every `of` neighbouring input channels go, at each kernel position.

    Where `of` does not divide the channels, the last ones count as if zeros followed.
    """

    keep: int
    of: int
    channels: int

    def parts(self, columns: int) -> Sequence[slice]:
        starts = range(0, columns, self.channels)
        ends = (min(at + self.channels, columns) for at in starts)
        return [p for at, end in zip(starts, ends, strict=True) for p in _cut(at, end, self.of)]

    def goes(self, scores: Matrix, part: slice, gone: int) -> Goes:
        del gone
        order = np.argsort(scores, axis=2, kind="stable")
        goes = np.zeros(scores.shape, np.bool_)
        many = max(scores.shape[2] - self.keep, 0)
        np.put_along_axis(goes, order[..., :many], values=True, axis=2)
        return goes

    def within(self, columns: slice) -> Choice:
        del columns
        return self


@final
@dataclass(frozen=True, slots=True)
class Given(Choice):
    """A mask from elsewhere; none at all means that only what is zero already goes."""

    mask: Goes | None = None

    def parts(self, columns: int) -> Sequence[slice]:
        return _cut(0, columns, BLOCK)

    def goes(self, scores: Matrix, part: slice, gone: int) -> Goes:
        return np.isneginf(scores) if self.mask is None else self.mask[..., part]

    def within(self, columns: slice) -> Choice:
        return self if self.mask is None else Given(self.mask[..., columns])


def _cut(start: int, stop: int, width: int) -> list[slice]:
    return [slice(at, min(at + width, stop)) for at in range(start, stop, width)]
