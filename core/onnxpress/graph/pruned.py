"""What pruning writes into a model's metadata, so that later steps keep the zeros.

The zeros themselves are the mask: a tensor that is named here has no others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress.data.batch import Array
from onnxpress.graph.noted import note_names, noted_names

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.graph.model import Model

PRUNED: Final = "onnxpress.pruned"
"""The key in ``metadata_props``: the names of pruned tensors, as a JSON list."""


def record_pruned(graph: ir.Model, names: Iterable[str]) -> None:
    """Add tensors to the record, in place."""
    note_names(graph, PRUNED, {*pruned_names(graph), *names})


def pruned_names(graph: ir.Model) -> list[str]:
    """Return the names of the tensors that were pruned; nothing if the record is no list."""
    return noted_names(graph, PRUNED)


def masks_of(model: Model) -> dict[str, Array]:
    """Return the mask of every pruned tensor that is still there: true where a weight is kept."""
    pruned = set(pruned_names(model.ir))
    weights = {w.name: w for layer in model.layers for w in layer.tensors if w.name in pruned}
    return {name: np.asarray(weights[name].array() != 0) for name in sorted(weights)}
