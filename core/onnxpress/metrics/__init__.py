"""Metrics: how good the outputs of a model are, as one number."""

from onnxpress.metrics.evaluation import Score, evaluate
from onnxpress.metrics.metric import Meter, Metric
from onnxpress.metrics.opening import has_class_labels, open_metric

__all__ = ["Meter", "Metric", "Score", "evaluate", "has_class_labels", "open_metric"]
