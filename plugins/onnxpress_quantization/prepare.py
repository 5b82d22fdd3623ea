"""Bringing a graph into a form in which quantizers find the right places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from onnxpress.data.batch import Array
from onnxpress.graph.constants import STANDARD
from onnxpress.graph.edit import Editor
from onnxpress.graph.fold import effective_array, fold_affine
from onnxpress.graph.weights import find_weight


def prepare(edit: Editor) -> Mapping[str, Sequence[str]]:
    """Fold what belongs to layers into them, inline functions, and put the rest in order.

    The graph computes the same afterwards; `Editor.layers` is out of date.

    Args:
        edit: An editor; its graph changes in place.

    Returns:
        Which operators went into which layer, by the layer's name.
    """
    folded: dict[str, list[str]] = defaultdict(list)
    for found in fold_affine(edit):
        folded[found.layer].append(found.op_type)
    if _inlinable(edit):
        InlinePass()(edit.ir)
    for node in list(edit.graph):
        rewrite = _REWRITES.get(node.op_type) if node.domain in STANDARD else None
        if rewrite is not None:
            rewrite(edit, node)
    return folded


def _inlinable(edit: Editor) -> bool:
    """Say whether all functions speak the model's operator sets; a mixture stays as it is."""
    ours = edit.ir.opset_imports
    functions = edit.ir.functions.values()
    return bool(functions) and all(
        ours.get(domain, version) == version
        for function in functions
        for domain, version in function.opset_imports.items()
    )


def _multiply(edit: Editor, node: ir.Node) -> None:
    """Turn division by a number, which has no integer kernel, into multiplication."""
    divisor = _number(node.inputs[1])
    if divisor is None or divisor == 0 or not np.isfinite(np.float32(1) / divisor):
        return
    value = edit.constant(np.float32(1) / divisor, f"{node.outputs[0].name}_factor")
    node.op_type = "Mul"
    node.replace_input_with(1, value)


def _rectify_first(edit: Editor, node: ir.Node) -> None:
    """Put a ReLU in front of the MaxPool before it: that commutes, and a layer swallows it."""
    pooled = node.inputs[0]
    pool = None if pooled is None else pooled.producer()
    if pool is None or pool.op_type != "MaxPool" or len(pool.outputs) > 1:
        return
    rectified = node.outputs[0]
    if len(pool.outputs[0].uses()) > 1 or pool.outputs[0].is_graph_output():
        return
    if rectified.is_graph_output():
        return
    rectified.replace_all_uses_with(pool.outputs[0])
    node.replace_input_with(0, pool.inputs[0])
    pool.replace_input_with(0, rectified)
    edit.graph.remove(node)
    edit.graph.insert_before(pool, node)


_REWRITES: Final[Mapping[str, Callable[[Editor, ir.Node], None]]] = {
    "Div": _multiply,
    "Relu": _rectify_first,
}


def _number(value: ir.Value | None) -> Array | None:
    """Return a constant of one float32 element."""
    constant = find_weight("weight", value, None, None)
    array = None if constant is None else effective_array(constant)
    if array is None or array.size != 1 or array.dtype != np.float32:
        return None
    return array
