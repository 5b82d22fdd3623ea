"""Picking and checking the outputs that a metric looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from onnxpress.data.batch import Array
from onnxpress.data.signature import is_float
from onnxpress.errors import ModelError, UnknownNameError


def check_output(name: str | None, outputs: Sequence[str]) -> None:
    """Refuse a name that no output has.

    Raises:
        UnknownNameError: With the nearest names.
    """
    if name is not None and name not in outputs:
        raise UnknownNameError("output", name, outputs)


def float_outputs(outputs: Mapping[str, Array], only: str | None) -> dict[str, Array]:
    """Return the outputs that hold floats, or only the one that was asked for."""
    return {
        name: array
        for name, array in outputs.items()
        if only in {None, name} and isinstance(array, np.ndarray) and is_float(array.dtype)
    }


def refuse_nan(name: str, array: Array, where: str) -> None:
    """Refuse an output that is not a number somewhere; any score of it would mislead.

    Raises:
        ModelError: Naming the output, the batch and the first place.
    """
    wrong = np.isnan(array)
    if wrong.any():
        at = [int(i) for i in np.argwhere(wrong)[0]]
        raise ModelError(
            f"output {name!r} of the model is NaN in {where} at {at}, so it has no score; "
            f"{int(wrong.sum())} of {array.size} values are"
        )
