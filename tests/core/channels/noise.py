"""How much of a difference is rounding."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from onnxpress.data.batch import Feeds
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.core.channels.zeroing import difference


def noise(model: Model, feeds: Feeds) -> float:
    """Return what a model's answers differ by if ONNX Runtime fuses nothing, at most."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    data = ir.to_proto(model.ir).SerializeToString()
    plain = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in plain.get_outputs()]
    answers = plain.run(names, dict(feeds))
    fused = Session(model).run(feeds)
    return max(
        difference(fused[name], np.asarray(array))
        for name, array in zip(names, answers, strict=True)
    )
