"""What feeds a model: batches of arrays that can be gone through again and again."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnxpress.data.overlap import Origin

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
        notes: What was decided without being asked, in words for a user.
        origin: Where the samples come from, if that is known; see `overlaps`.
    """

    name: str
    labelled: bool
    notes: tuple[str, ...] = ()
    origin: Origin | None = None

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]:
        """Begin again from the first batch."""

    @property
    @abstractmethod
    def samples(self) -> int | None:
        """How many samples there are, None where only going through them would tell."""

    def fingerprint(self) -> str:
        """Return a hash of all that is fed, and of the labels; goes through the data once.

        It depends on the arrays, their types and their order, not on the size of batches.
        """
        hashes: dict[str, hashlib.blake2b] = {}
        for batch in self:
            named = {f"input {name}": array for name, array in batch.feeds.items()}
            if batch.labels is not None:
                named["labels"] = batch.labels
            for name, array in named.items():
                kind = f"{name} {array.dtype} {array.shape[1:]}"
                hashes.setdefault(kind, hashlib.blake2b(digest_size=16)).update(_bytes(array))
        parts = sorted(f"{kind} {found.hexdigest()}" for kind, found in hashes.items())
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _bytes(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
