"""Metrics: how good the outputs of a model are, as one number."""

from onnxpress.metrics.evaluation import Score, evaluate
from onnxpress.metrics.metric import Meter, Metric
from onnxpress.metrics.opening import open_metric

__all__ = ["Meter", "Metric", "Score", "evaluate", "open_metric"]
