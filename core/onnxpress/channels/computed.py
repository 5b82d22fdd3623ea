"""Weights that a graph computes from stored ones: they are stored as they come out.

Networks with standardised weights subtract means and divide by deviations of their kernels on
every run.  ONNX Runtime does so once, at load; to cut a kernel it must be known what comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from onnxpress.graph.constants import FLOATS, PLAIN, QUANTIZERS, STANDARD, is_constant, subgraphs
from onnxpress.graph.propagate import UNSTEADY

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.edit import Editor

_KEPT: Final = PLAIN | QUANTIZERS | {"Constant", "Shape", "Size"}
_GROWTH: Final = 2  # what comes out may take so many times the space of what goes in


def store_computed(edit: Editor) -> bool:
    """Replace what is computed from stored tensors by what comes out, in place.

    What only passes through plain nodes or quantizers stays: its bytes are found behind them.
    So does what would take much more space than what it is computed from.

    Args:
        edit: An editor; only nodes of the main graph are looked at.

    Returns:
        Whether anything was replaced.
    """
    wanted = _computed(edit.graph)
    if not wanted:
        return False
    arrays = _run(edit, wanted)
    for value, array in zip(wanted, arrays, strict=True):
        value.replace_all_uses_with(edit.constant(array, f"{value.name}_stored"))
    return True


def _computed(graph: ir.Graph) -> list[ir.Value]:
    """Return the floats that follow from stored tensors and that something else reads."""
    sizes: dict[ir.Value, int] = {}  # how many stored elements each follows from
    worked: dict[ir.Value, None] = {}  # in graph order, so that the same comes out every time
    for node in graph:
        given = [v for v in node.inputs if v is not None]
        known = all(v in sizes or is_constant(v) for v in given)
        if not given or not known or not _repeatable(node):
            continue
        size = sum(sizes.get(v) or _size(v) for v in given)
        sizes.update(dict.fromkeys(node.outputs, size))
        if node.op_type not in _KEPT or any(v in worked for v in given):
            worked.update(dict.fromkeys(node.outputs))
    return [v for v in worked if _is_read(v, sizes) and _small(v, sizes[v])]


def _repeatable(node: ir.Node) -> bool:
    """Say whether a node of ONNX itself gives the same every time."""
    return node.domain in STANDARD and node.op_type not in UNSTEADY and not any(subgraphs(node))


def _is_read(value: ir.Value, sizes: dict[ir.Value, int]) -> bool:
    """Say whether anything reads a value that does not itself follow from stored tensors."""
    return any(node.outputs[0] not in sizes for node, _ in value.uses())


def _size(value: ir.Value) -> int:
    shape = value.const_value.shape if value.const_value is not None else value.shape
    return int(np.prod(shape.numpy())) if shape is not None else 1


def _small(value: ir.Value, size: int) -> bool:
    """Say whether a value is a float that takes not much more space than it comes from."""
    if value.dtype is not None and value.dtype not in FLOATS:
        return False
    return value.shape is None or _size(value) <= _GROWTH * max(size, 1)


def _run(edit: Editor, values: list[ir.Value]) -> list[Array]:
    from onnxpress.graph.model import Model
    from onnxpress.session import Session

    graph = ir.convenience.extract(edit.graph, [], values)
    model = Model(ir.Model(graph, ir_version=edit.ir.ir_version))
    model.ir.opset_imports.update(edit.ir.opset_imports)
    results = Session(model, threads=1).run({})
    return [np.asarray(results[value.name or ""]) for value in values]
