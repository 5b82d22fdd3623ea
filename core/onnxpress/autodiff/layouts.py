"""LSTM, GRU and RNN with the batch as their first axis, rewritten to those with time first.

Rules know one layout only, and so does ONNX Runtime, which runs no node with ``layout = 1``.
"""

from __future__ import annotations

from typing import Final

import onnx_ir as ir

from onnxpress.autodiff.directions import C0, H0, X
from onnxpress.graph.constants import STANDARD
from onnxpress.graph.names import take_name

# From (B, D, H) and (B, T, I) to (D, B, H) and (T, B, I), and back; Y from (T, D, B, H) to
# (B, T, D, H).
_SWAP: Final = (1, 0, 2)
_ALL: Final = (2, 0, 1, 3)


def put_time_first(model: ir.Model) -> None:
    """Replace ``layout = 1`` by transposes around the node, in place; outputs keep their names."""
    nodes = [node for graph in model.graphs() for node in graph]
    batch_first = [n for n in nodes if n.domain in STANDARD and _is_batch_first(n)]
    names = {v.name or "" for node in nodes for v in node.outputs} if batch_first else set()
    for node in batch_first:
        node.attributes.pop("layout")
        for index in (X, H0, C0):
            given = node.inputs[index] if len(node.inputs) > index else None
            if given is not None:
                before = _transpose(given, _SWAP, take_name(f"{given.name}.time_first", names))
                _graph(node).insert_before(node, before)
                node.replace_input_with(index, before.outputs[0])
        for index, value in enumerate(node.outputs):
            if value.name:
                _turn(node, value, _SWAP if index else _ALL, names)


def _is_batch_first(node: ir.Node) -> bool:
    return node.op_type in {"LSTM", "GRU", "RNN"} and node.attributes.get_int("layout", 0) == 1


def _turn(node: ir.Node, value: ir.Value, perm: tuple[int, ...], names: set[str]) -> None:
    """Let an output be read through a Transpose, which takes over its name and its type."""
    name, kind, shape = value.name or "", value.type, value.shape
    after = _transpose(value, perm, name)
    value.replace_all_uses_with(after.outputs[0], replace_graph_outputs=True)
    after.replace_input_with(0, value)
    value.name, value.shape = take_name(f"{name}.time_first", names), None
    after.outputs[0].type, after.outputs[0].shape = kind, shape
    _graph(node).insert_after(node, after)


def _transpose(value: ir.Value, perm: tuple[int, ...], name: str) -> ir.Node:
    node = ir.Node("", "Transpose", [value], [ir.AttrInt64s("perm", perm)], num_outputs=1)
    node.name = node.outputs[0].name = name
    return node


def _graph(node: ir.Node) -> ir.Graph:
    assert isinstance(node.graph, ir.Graph)
    return node.graph
