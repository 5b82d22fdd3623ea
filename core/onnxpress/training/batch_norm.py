"""Batch normalisation in its training form: by the batch, with running statistics kept."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import onnx_ir as ir

from onnxpress.graph.constants import STANDARD

_MEAN: Final = 3  # inputs of BatchNormalization
_VARIANCE: Final = 4


def to_training_form(graph: ir.Graph, frozen: Collection[str] = ()) -> dict[str, ir.Value]:
    """Let every BatchNormalization of the main graph normalise by the batch at hand.

    A node stays as it is where its statistics are computed, or two nodes share them, or it
    is in training form already, or they are among `frozen`.

    ONNX keeps the variance of the whole batch, divided by its size n; PyTorch, TensorFlow's
    fused kernel and others keep the estimate divided by n - 1.

    Args:
        graph: The main graph, changed in place.
        frozen: Names of stored tensors to leave alone.

    Returns:
        The new running statistics, by the name of the stored tensor they are to replace.
    """
    nodes = [n for n in graph if _can_train(n) and not _statistics(n) & {*frozen}]
    readers: dict[ir.Value | None, int] = {}
    for node in nodes:
        for index in (_MEAN, _VARIANCE):
            readers[node.inputs[index]] = readers.get(node.inputs[index], 0) + 1
    updates: dict[str, ir.Value] = {}
    for node in nodes:
        if all(readers[node.inputs[index]] == 1 for index in (_MEAN, _VARIANCE)):
            updates.update(_train(node))
    return updates


def _can_train(node: ir.Node) -> bool:
    if node.op_type != "BatchNormalization" or node.domain not in STANDARD:
        return False
    stored = all(
        value is not None and value.is_initializer() and not value.is_graph_input()
        for value in node.inputs[_MEAN : _VARIANCE + 1]
    )
    return stored and not node.attributes.get_int("training_mode", 0) and len(node.outputs) == 1


def _statistics(node: ir.Node) -> set[str | None]:
    return {None if v is None else v.name for v in node.inputs[_MEAN : _VARIANCE + 1]}


def _train(node: ir.Node) -> dict[str, ir.Value]:
    """Switch one node; its second and third output are the new statistics."""
    node.attributes.add(ir.AttrInt64("training_mode", 1))
    node.resize_outputs(3)
    updates: dict[str, ir.Value] = {}
    for output, index in zip(node.outputs[1:], (_MEAN, _VARIANCE), strict=True):
        old = node.inputs[index]
        assert old is not None
        assert old.name  # stored tensors have names
        output.name = f"{old.name} of the batch"
        output.shape, output.type = old.shape, old.type
        updates[old.name] = output
        node.replace_input_with(index, _copied(node, old))
    return updates


def _copied(node: ir.Node, statistic: ir.Value) -> ir.Value:
    """Copy a statistic before a node: ONNX Runtime writes the new one where the old one lies.

    That would change it in a step that is to change nothing.  A Sum of one is a copy that no
    optimizer takes away.
    """
    copy = ir.Node("", "Sum", [statistic], num_outputs=1)
    copy.outputs[0].name = copy.name = f"{statistic.name} before the batch"
    copy.outputs[0].shape, copy.outputs[0].type = statistic.shape, statistic.type
    assert node.graph is not None
    node.graph.insert_before(node, copy)
    return copy.outputs[0]
