"""Data for the tests of calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

from onnxpress.data.batch import Array, Batch, Data


@final
class Arrays(Data):
    """Batches of one input, as they are given; counts how often it is gone through."""

    name = "arrays"
    labelled = False

    def __init__(self, batches: Sequence[Array], name: str = "x") -> None:
        self._batches, self._input = batches, name
        self.passes = 0

    def __iter__(self) -> Iterator[Batch]:
        self.passes += 1
        return (Batch({self._input: array}) for array in self._batches)

    @property
    def samples(self) -> int:
        return sum(len(array) for array in self._batches)
