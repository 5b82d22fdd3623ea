"""Settling: a model in which sizes that are fixed are written out, not computed.

Exporters take ``x.shape[-1] ** 0.5`` or the target of a reshape from `Shape` nodes even where
sizes are fixed.  After a cut such a size would no longer be what it was, or no longer fit what
is written elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass, TopologicalSortPass

from onnxpress.autodiff.gathering import gather
from onnxpress.autodiff.prepare import annotate
from onnxpress.channels.computed import store_computed
from onnxpress.channels.known import Known, Sizes, look
from onnxpress.graph.constants import STANDARD

if TYPE_CHECKING:
    from onnxpress.graph.edit import Editor
    from onnxpress.graph.model import Model

_SIZES: Final = frozenset({"Shape", "Size"})


def settle(model: Model) -> tuple[Model, Known]:
    """Return the model with its fixed sizes as constants, and what is known of its tensors.

    A layer normalisation that is written out as several nodes becomes one node: only so can it
    be told from other means over channels.  Weights that are computed from stored ones are
    stored as they come out.

    Args:
        model: Any model; it stays as it is.
    """
    edit = model.edit()
    TopologicalSortPass()(edit.ir)
    _gather_written_out(edit)
    known = look(edit.ir)
    changes = [_write_out_sizes(edit, known), store_computed(edit)]
    if any(changes):
        known = look(edit.ir)
    return edit.done(), known


def _gather_written_out(edit: Editor) -> None:
    """Gather on a copy of the types, which are not to be saved with the model."""
    noted = {v.name: (v.shape, v.type) for n in edit.graph for v in n.outputs}
    annotate(edit.ir)
    gather(edit.ir)
    for value in (v for n in edit.graph for v in n.outputs):
        value.shape, value.type = noted.get(value.name, (value.shape, value.type))


def _write_out_sizes(edit: Editor, known: Known) -> bool:
    """Turn everything that follows from fixed sizes alone into constants; say if anything did."""
    from_sizes: dict[ir.Value, None] = {}
    for node in edit.graph:
        asks = node.op_type in _SIZES and node.domain in STANDARD
        if asks or any(v in from_sizes for v in node.inputs):
            from_sizes.update(dict.fromkeys(node.outputs))
    for value in from_sizes:
        if not value.is_graph_output():
            _write_out(edit, value, known)
    if from_sizes:
        RemoveUnusedNodesPass()(edit.ir)
    return bool(from_sizes)


def _write_out(edit: Editor, value: ir.Value, known: Known) -> None:
    array = known.data.get(value.name or "")
    node = value.producer()
    if array is not None:
        value.replace_all_uses_with(edit.constant(array, f"{value.name}_size"))
    elif node is not None and node.op_type == "Shape" and node.domain in STANDARD:
        _write_out_part(edit, node, known)


def _write_out_part(edit: Editor, node: ir.Node, known: Known) -> None:
    """Ask only for the sizes that depend on the inputs; the others are constants."""
    given = node.inputs[0]
    sizes = None if given is None else known.sizes(given)
    if given is None or sizes is None or not (fixed_sizes_read(node, known, sizes)):
        return
    name = node.outputs[0].name or "shape"
    parts: list[ir.Value] = []
    for axis in axes_asked(node, len(sizes)):
        size = sizes[axis]
        if size is not None:
            parts.append(edit.constant(np.array([size], np.int64), f"{name}_size"))
        else:
            one = edit.node("Shape", [given], f"{name}_{axis}", {"start": axis, "end": axis + 1})
            edit.graph.insert_before(node, one)
            parts.append(one.outputs[0])
    joined = edit.node("Concat", parts, f"{name}_sizes", {"axis": 0})
    edit.graph.insert_before(node, joined)
    node.outputs[0].replace_all_uses_with(joined.outputs[0])


def axes_asked(node: ir.Node, rank: int) -> range:
    """Return whose sizes a Shape gives."""
    bounds = node.attributes.get_int("start", 0), node.attributes.get_int("end", rank)
    return range(rank)[slice(*bounds)]


def fixed_sizes_read(node: ir.Node, known: Known, sizes: Sizes) -> bool:
    """Say whether anything may read sizes of a Shape that do not depend on the inputs."""
    asked = axes_asked(node, len(sizes))
    if node.outputs[0].is_graph_output():
        return any(sizes[axis] is not None for axis in asked)
    for user, index in node.outputs[0].uses():
        picks = known.array(user.inputs[1]) if user.op_type == "Gather" and index == 0 else None
        if picks is None or any(sizes[asked[int(n)]] is not None for n in np.reshape(picks, -1)):
            return any(sizes[axis] is not None for axis in asked)
    return False
