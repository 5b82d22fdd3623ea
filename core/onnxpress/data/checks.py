"""Checks that every batch goes through."""

from __future__ import annotations

import numpy as np

from onnxpress.data.batch import Array
from onnxpress.data.match import Described
from onnxpress.data.signature import is_float
from onnxpress.errors import DataError


def check_finite(array: Array, where: str, samples: Array | None = None) -> None:
    """Refuse NaN and infinite values.

    Args:
        array: A batch.
        where: Which array of which batch this is.
        samples: Which samples of the source it holds, where that is not plain.

    Raises:
        DataError: Naming `where`, the value and the first place in the batch.
    """
    if not is_float(array.dtype):
        return
    # A sum is finite only if all its terms are; it takes a tenth of the time and no memory.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum(dtype=np.float32 if array.itemsize < 4 else None)):  # noqa: PLR2004
            return
    wrong = ~np.isfinite(array)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        kind = "NaN" if np.isnan(array[at]) else "infinite"
        sample = "" if samples is None else f" (sample {samples[at[0]]})"
        raise DataError(
            f"{where} is {kind} at {list(at)} of the batch{sample}, "
            f"and at {int(wrong.sum()) - 1} other places; repair it or leave the sample out"
        )


def check_labels(labels: Described, count: int, where: str) -> None:
    """Refuse labels that are no numbers, or not as many as there are samples.

    Raises:
        DataError: Naming `where` and both counts.
    """
    if labels.dtype.kind not in "biuf":
        raise DataError(f"{where} is {labels.dtype}, and labels are class indices or float arrays")
    if not labels.shape or labels.shape[0] != count:
        have = labels.shape[0] if labels.shape else "a single value"
        raise DataError(
            f"{where} does not fit: {have} labels for {count} samples; "
            "give one label for each sample"
        )
