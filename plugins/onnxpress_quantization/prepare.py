"""Bringing a graph into a form in which quantizers find the right places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from onnxpress.data.batch import Array
from onnxpress.graph.edit import Editor
from onnxpress.graph.fold import effective_array, fold_affine
from onnxpress.graph.weights import find_weight


def freeze(edit: Editor) -> None:
    """Drop inputs of the model that only override stored weights."""
    inputs = edit.graph.inputs
    for value in [value for value in inputs if value.is_initializer()]:
        inputs.remove(value)


def prepare(edit: Editor) -> Mapping[str, Sequence[str]]:
    """Inline functions and fold per-channel arithmetic into the layers before it.

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
    for node in edit.graph:
        _rewrite(edit, node)
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


def _rewrite(edit: Editor, node: ir.Node) -> None:
    """Turn division by a number, which has no integer kernel, into multiplication."""
    if node.op_type != "Div" or node.domain not in {"", "ai.onnx"}:
        return
    divisor = _number(node.inputs[1])
    if divisor is None or divisor == 0 or not np.isfinite(np.float32(1) / divisor):
        return
    value = edit.constant(np.float32(1) / divisor, f"{node.outputs[0].name}_factor")
    node.op_type = "Mul"
    node.replace_input_with(1, value)


def _number(value: ir.Value | None) -> Array | None:
    """Return a constant of one float32 element."""
    constant = find_weight("weight", value, None, None)
    array = None if constant is None else effective_array(constant)
    if array is None or array.size != 1 or array.dtype != np.float32:
        return None
    return array
