"""Which of some nodes come before others."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import onnx_ir as ir

from onnxpress.graph.constants import subgraphs


def levels_of(graph: ir.Graph, names: Collection[str]) -> list[frozenset[str]]:
    """Group nodes of the main graph so that every one depends on earlier groups only.

    Args:
        graph: The main graph, its nodes in order.
        names: Names of tensors; chosen are the nodes that compute them.

    Returns:
        The names, by how many chosen nodes lie on the longest way to each; none is missing.
    """
    depth: dict[ir.Value, int] = {}
    levels: dict[int, set[str]] = {}
    for node in graph:
        before = max((depth.get(value, 0) for value in _read(node)), default=0)
        chosen = {value.name or "" for value in node.outputs} & {*names}
        if chosen:
            levels.setdefault(before, set()).update(chosen)
        for value in node.outputs:
            depth[value] = before + bool(chosen)
    return [frozenset(levels[level]) for level in sorted(levels)]


def _read(node: ir.Node) -> Iterator[ir.Value]:
    """Visit what a node reads, and what the bodies in it read from outside."""
    yield from (value for value in node.inputs if value is not None)
    for body in subgraphs(node):
        yield from (v for inner in body.all_nodes() for v in inner.inputs if v is not None)
