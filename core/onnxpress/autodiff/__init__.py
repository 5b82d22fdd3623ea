"""Gradients of ONNX graphs, as ONNX graphs."""

from onnxpress.autodiff.gradient import gradient, gradient_name
from onnxpress.autodiff.rules import GRADIENTS
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GradientRule, Gradients
from onnxpress.autodiff.tensor import Tensor

__all__ = ["GRADIENTS", "GradientRule", "Gradients", "Site", "Tensor", "gradient", "gradient_name"]
