"""Measuring activation ranges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from onnxpress.calibration.activations import Activations
from onnxpress.calibration.method import Method, Range
from onnxpress.calibration.minmax import MinMax
from onnxpress.calibration.percentile import Percentile
from onnxpress.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    from onnxpress.data.batch import Data
    from onnxpress.graph.model import Model
    from onnxpress.job import Job

METHODS: Final[Mapping[str, Callable[[], Method]]] = {
    method.name: method for method in (MinMax, Percentile)
}


def calibrate(
    model: Model, tensors: Sequence[str], data: Data, method: Method | str, job: Job
) -> Mapping[str, Range]:
    """Return the range of values that each tensor takes on the data.

    Memory does not grow with the number of samples: state per tensor is of fixed size,
    and activations are reduced inside ONNX Runtime or handed out batch by batch.

    Args:
        model: The model to run.
        tensors: Names of floating-point tensors of the main graph.
        data: What to feed; it is gone through once or twice.
        method: A method, or the name of one with its defaults: ``"min-max"``,
            ``"percentile"``.
        job: Told of progress.

    Returns:
        Ranges by name.  Tensors that are not in the main graph, or that no batch
        reaches, are missing.

    Raises:
        UnknownNameError: If there is no such method.
        DataError: If there is no data, or a tensor holds NaN or infinite values.
    """
    if isinstance(method, str):
        if method not in METHODS:
            raise UnknownNameError("calibration method", method, METHODS)
        method = METHODS[method]()
    if not tensors:
        return {}
    ranges = method.ranges(Activations(model, tensors, data, job))
    if not ranges and data.samples == 0:
        raise DataError(f"there is nothing to calibrate on: {data.name} holds no samples")
    return ranges
