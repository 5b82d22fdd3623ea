"""Quantization: compute and store a model in integers."""

from __future__ import annotations

from collections.abc import Iterable

from onnxpress.contract import Transform
from onnxpress.hooks import hookimpl
from onnxpress_quantization.linear import LinearQuantization as LinearQuantization


@hookimpl
def onnxpress_transforms() -> Iterable[type[Transform]]:
    return (LinearQuantization,)
