"""Calibration: which values flow through a model, measured in one pass over data.

State is of fixed size per tensor; nothing is kept per image.  A method is one class
in one file, built on the two streams of `Activations`: reductions inside the graph
(`Activations.spans`) and the values themselves (`Activations.values`).

What pruning did to activations is corrected by `compensate` (with data) and `replace_means`
(without); both work on any two models whose layers correspond by name.
"""

from __future__ import annotations

from onnxpress.calibration.activations import Activations as Activations
from onnxpress.calibration.activations import Values as Values
from onnxpress.calibration.batch_norm import reestimate_batch_norm as reestimate_batch_norm
from onnxpress.calibration.calibrate import METHODS as METHODS
from onnxpress.calibration.calibrate import calibrate as calibrate
from onnxpress.calibration.compensation import compensate as compensate
from onnxpress.calibration.expected import expected_activation as expected_activation
from onnxpress.calibration.kept import kept_positions as kept_positions
from onnxpress.calibration.method import Method as Method
from onnxpress.calibration.method import Range as Range
from onnxpress.calibration.minmax import MinMax as MinMax
from onnxpress.calibration.moments import measure_moments as measure_moments
from onnxpress.calibration.moments import output_means as output_means
from onnxpress.calibration.percentile import Percentile as Percentile
from onnxpress.calibration.replacement import replace_means as replace_means
