"""Holding samples out: two sets of data of one, that share nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxpress.data.batch import Data
from onnxpress.data.overlap import Origin
from onnxpress.data.rows import RowData
from onnxpress.data.seeds import HOLDOUT, generator
from onnxpress.errors import DataError, UsageError


def hold_out(data: Data, share: float, seed: int) -> tuple[Data, Data]:
    """Divide data at random: what is left to train on, and what is held out.

    Args:
        data: Arrays or a folder, whose samples can be read in any order.
        share: How much to hold out, above 0 and less than 1.
        seed: Where chance comes from.

    Raises:
        UsageError: If the data comes in batches of its own.
        DataError: If one of the two would be empty.
    """
    if not isinstance(data, RowData):
        raise UsageError(
            f"holdout needs samples that can be read in any order, and {data.name} comes in "
            "batches; give arrays or a folder"
        )
    step = data.fixed or 1
    count = round(data.samples * share) // step * step
    if not 0 < count < data.samples:
        raise DataError(
            f"holdout={share:g} of the {data.samples} samples of {data.name} is {count}; both "
            "parts need samples"
        )
    order = generator(seed, HOLDOUT).permutation(data.samples)
    rows = np.asarray(data.rows)
    return _part(data, rows[np.sort(order[count:])]), _part(data, rows[np.sort(order[:count])])


def _part(data: RowData, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> RowData:
    origin = None if data.origin is None else Origin(data.origin.source, rows)
    return replace(data, rows=rows, origin=origin, batch=min(data.batch, len(rows)))
