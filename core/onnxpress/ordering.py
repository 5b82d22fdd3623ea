"""Sessions that run nodes in the order of the graph, so that memory is given back early.

ONNX Runtime puts nodes into an order of its own after it has fused them.  In the graph of a
training step that order computes most weight gradients at the very end, and keeps all that
they need until then: twice the memory, where the order in which the nodes were written down
frees every layer's activations as the way back passes it.  So the graph is optimized first,
then its nodes are sorted by where their results stood before, and the result is run as it is.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import onnx

from onnxpress.errors import ModelError
from onnxpress.graph.protos import to_proto

if TYPE_CHECKING:
    import onnxruntime as ort

    from onnxpress.graph.model import Model

CPU: Final = "CPUExecutionProvider"
_SIZES: Final = frozenset({"Shape", "Size"})


def open_in_order(model: Model, threads: int = 0) -> ort.InferenceSession:
    """Load a model for the CPU, optimized, with its nodes in the order of the graph.

    Args:
        model: The model; it has to fit into one protobuf.
        threads: Threads within an operator; 0 takes one per core.

    Raises:
        ModelError: If ONNX Runtime does not take the model, with what it said.
    """
    import onnxruntime as ort

    from onnxpress.session import said, session_options

    try:
        proto = to_proto(model.ir)
        sorted_ = _optimized(proto, threads)
        sort_nodes(sorted_.graph, places(proto.graph))
        options = session_options(threads)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
        # Planned memory comes on top of what the first run took: twice as much, and no faster.
        options.enable_mem_pattern = False
        # Threads that spin while they wait take the cores from the thread that makes batches.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return ort.InferenceSession(sorted_.SerializeToString(), options, [CPU])
    except Exception as error:  # ONNX Runtime's and protobuf's have no base class in common
        raise ModelError(f"ONNX Runtime does not load the model: {said(error)}") from error


def _optimized(proto: onnx.ModelProto, threads: int) -> onnx.ModelProto:
    """Return what ONNX Runtime's optimizer makes of a model, but for changes of layout."""
    import onnxruntime as ort

    from onnxpress.session import session_options

    options = session_options(threads)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = str(path)
        ort.InferenceSession(proto.SerializeToString(), options, [CPU])
        return onnx.load(path)


def places(graph: onnx.GraphProto) -> dict[str, int]:
    """Return where in a graph each of its values is computed."""
    return {name: i for i, node in enumerate(graph.node) for name in node.output if name}


def sort_nodes(graph: onnx.GraphProto, before: Mapping[str, int]) -> None:
    """Sort the nodes of a graph by where their results stood, in place, as far as inputs allow.

    A node whose results are new, because the optimizer made them, comes just before the first
    node that reads one of them.

    Args:
        graph: The graph.
        before: Where each value was computed; see `places`.
    """
    nodes = list(graph.node)
    wish = _wishes(nodes, before)
    maker = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    needs = [{maker[name] for name in _read(node) if name in maker} for node in nodes]
    users: list[list[int]] = [[] for _ in nodes]
    for i, needed in enumerate(needs):
        for j in needed:
            users[j].append(i)
    missing = [len(needed) for needed in needs]
    ready = [(wish[i], i) for i, count in enumerate(missing) if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        _, i = heapq.heappop(ready)
        order.append(i)
        for j in users[i]:
            missing[j] -= 1
            if not missing[j]:
                heapq.heappush(ready, (wish[j], j))
    del graph.node[:]
    graph.node.extend(nodes[i] for i in order)


def _wishes(nodes: Sequence[onnx.NodeProto], before: Mapping[str, int]) -> list[float]:
    """Return where each node would best stand; nodes are in an order that runs."""
    wishes: list[float] = []
    needed: dict[str, float] = {}
    for node in reversed(nodes):
        known = [before[name] for name in node.output if name in before]
        wish = min(known) if known else min(needed.get(n, float("inf")) for n in node.output)
        if node.op_type in _SIZES:  # at once: what is measured late is kept until then
            wish = min(wish, before.get(node.input[0], wish))
        wishes.append(wish)
        for name in _read(node):
            needed[name] = min(needed.get(name, float("inf")), wish)
    return wishes[::-1]


def _read(node: onnx.NodeProto) -> set[str]:
    """Return all names that a node reads, those that its bodies read from outside included."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for body in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            inside = {name for inner in body.node for name in inner.output}
            for inner in body.node:
                names |= _read(inner) - inside
            names |= {value.name for value in body.output} - inside
    return names
