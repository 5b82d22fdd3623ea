"""Where a loss went wrong: the first tensor of a step that is not finite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from onnxpress.errors import ModelError
from onnxpress.session import Session

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model

_AT_ONCE: Final = 32  # tensors; all of them together may not fit into memory


def first_not_finite(model: Model, feeds: Feeds) -> str:
    """Say which tensor of a step is the first to hold NaN or infinity, in words for a user.

    Args:
        model: The step.
        feeds: Everything that was fed, slots included.
    """
    for name, array in feeds.items():
        if _is_bad(array):
            return f"{name!r}, which the step was given, {_described(array)}"
    for node, name, array in _computed(model, feeds):
        if _is_bad(array):
            inner = f"{name!r}, computed by {node.op_type} {node.name!r},"
            return f"{inner} {_described(array)}"
    return "no single tensor; it is not finite only as ONNX Runtime fuses operators"


def _computed(model: Model, feeds: Feeds) -> Iterator[tuple[ir.Node, str, Array]]:
    """Compute the floats of a graph in its order, some at a time."""
    found = [
        (node, value.name)
        for node in model.ir.graph
        for value in node.outputs
        if value.name and (value.dtype is None or value.dtype.is_floating_point())
    ]
    for start in range(0, len(found), _AT_ONCE):
        part = found[start : start + _AT_ONCE]
        try:
            session = Session(model, outputs=[name for _, name in part], optimize=False)
            results = session.run(feeds, [name for _, name in part])
        except ModelError:
            continue
        yield from ((node, name, results[name]) for node, name in part)


def _is_bad(array: Array) -> bool:
    return array.dtype.kind == "f" and not bool(np.isfinite(array).all())


def _described(array: Array) -> str:
    bad = ~np.isfinite(array)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), array.shape))
    where = f"at {at} " if array.ndim else ""
    return f"is {array[at]} {where}({int(bad.sum())} of {array.size} elements are not finite)"
