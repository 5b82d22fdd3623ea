"""Pruning: remove what a model can do without."""

from __future__ import annotations

from collections.abc import Iterable

from onnxpress.contract import Transform
from onnxpress.hooks import hookimpl
from onnxpress_pruning.magnitude import MagnitudePruning
from onnxpress_pruning.pack import Pack, Unpack
from onnxpress_pruning.saliency import SaliencyPruning

__all__ = ["MagnitudePruning", "Pack", "SaliencyPruning", "Unpack"]


@hookimpl
def onnxpress_transforms() -> Iterable[type[Transform]]:
    return [MagnitudePruning, SaliencyPruning, Pack, Unpack]
