"""What feeds a model: batches of arrays that can be gone through again and again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Feeds: TypeAlias = Mapping[str, Array]


class Batch(NamedTuple):
    """Arrays for the inputs of a model, by input name, and what belongs to them.

    Attributes:
        feeds: One array for every input; the first axis counts samples.
        labels: Class indices, or the arrays wanted as output; None if there are none.
    """

    feeds: dict[str, Array]
    labels: Array | None = None

    @property
    def size(self) -> int:
        """The number of samples: the first axis of the first array (1 for a scalar)."""
        first = next(iter(self.feeds.values()))
        return int(first.shape[0]) if first.ndim else 1


class Data(ABC):
    """Batches that can be gone through any number of times, always in the same order.

    Attributes:
        name: What the report calls it, such as ``train.npz?limit=256``.
        labelled: Whether every batch carries labels.
    """

    name: str
    labelled: bool

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]:
        """Begin again from the first batch."""

    @property
    @abstractmethod
    def samples(self) -> int | None:
        """How many samples there are, None where only going through them would tell."""
