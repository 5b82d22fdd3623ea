"""Calibration: which values flow through a model, measured in one pass over data.

State is of fixed size per tensor; nothing is kept per image.  A method is one class
in one file, built on the two streams of `Activations`: reductions inside the graph
(`Activations.spans`) and the values themselves (`Activations.values`).
"""

from __future__ import annotations

from onnxpress.calibration.activations import Activations as Activations
from onnxpress.calibration.activations import Values as Values
from onnxpress.calibration.calibrate import METHODS as METHODS
from onnxpress.calibration.calibrate import calibrate as calibrate
from onnxpress.calibration.method import Method as Method
from onnxpress.calibration.method import Range as Range
from onnxpress.calibration.minmax import MinMax as MinMax
from onnxpress.calibration.percentile import Percentile as Percentile
