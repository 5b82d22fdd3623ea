"""Some of the samples there are: reconstruction needs a few for each column, not all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, final

from onnxpress.data.batch import Batch, Data

if TYPE_CHECKING:
    from onnxpress.job import Job


@final
class Few(Data):
    """Whole batches of data, spread evenly, until there are about as many samples as wanted.

    The same ones every time.  Of data that does not know how much there is, the first.

    Args:
        data: The data.
        samples: How many samples; all if there are no more.
    """

    def __init__(self, data: Data, samples: int) -> None:
        self.name, self.labelled, self.notes = data.name, data.labelled, data.notes
        self.origin = data.origin
        self._data, self._wanted = data, samples

    def __iter__(self) -> Iterator[Batch]:
        total = self._data.samples
        share = 1.0 if total is None else min(self._wanted / max(total, 1), 1.0)
        seen = taken = 0
        for batch in self._data:
            if taken >= self._wanted:
                return
            if taken <= share * seen:
                taken += batch.size
                yield batch
            seen += batch.size

    @property
    def samples(self) -> int | None:
        return None


def with_few(job: Job, samples: int) -> Job:
    """Return a job with some of its data; what is told to it, is told to the one given."""
    return job if job.data is None else replace(job, data=Few(job.data, samples))
