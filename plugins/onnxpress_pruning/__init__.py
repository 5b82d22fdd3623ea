"""Pruning: remove what a model can do without."""

from __future__ import annotations

from collections.abc import Iterable

from onnxpress.contract import Transform
from onnxpress.hooks import hookimpl
from onnxpress_pruning.magnitude import MagnitudePruning

__all__ = ["MagnitudePruning"]


@hookimpl
def onnxpress_transforms() -> Iterable[type[Transform]]:
    return [MagnitudePruning]
