"""Residual blocks and layers that a graph can do without: they give the shape that they read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import onnx_ir as ir

from onnxpress.channels.known import Known, look
from onnxpress.errors import UnknownNameError
from onnxpress.graph.constants import STANDARD, is_constant
from onnxpress.graph.layers import find_layers
from onnxpress.graph.weights import MULTIPLIED

if TYPE_CHECKING:
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model

_LAYERS: Final = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Nodes that can be left out, so that what they read is what they give.

    Attributes:
        name: The first layer in it.
        layers: Its layers, in graph order.
        given: The name of the tensor that it reads.
        result: The name of the tensor that it gives.
        residual: Whether it adds to what it reads; a single layer does not.
    """

    name: str
    layers: tuple[str, ...]
    given: str
    result: str
    residual: bool


def find_blocks(model: Model) -> tuple[Block, ...]:
    """Return the residual blocks of a model, and the layers outside of them that keep the shape.

    A residual block is an Add of a tensor and of something that is computed from that tensor
    and from stored weights alone.  Blocks do not lie within each other: of several, the
    innermost counts.

    Args:
        model: Any model; it stays as it is.
    """
    known = look(model.ir)
    layers = [layer for layer in find_layers(model.ir) if not layer.calls]
    by_node = {layer.node: layer for layer in layers}
    order = {node: i for i, node in enumerate(model.ir.graph)}
    found: list[Block] = []
    taken: set[ir.Node] = set()
    for node in model.ir.graph:
        block = _residual(node, known)
        if block is None or taken & block[1]:
            continue
        inside = [by_node[n] for n in sorted(block[1], key=order.__getitem__) if n in by_node]
        if any(_multiplies(layer) for layer in inside):
            taken |= block[1]
            found.append(_block(inside, block[0], node.outputs[0], residual=True))
    found += [_single(layer) for layer in layers if _keeps_shape(layer, known, taken)]
    at = {v.name: i for v, i in ((v, order[n]) for n in order for v in n.outputs)}
    return tuple(sorted(found, key=lambda b: at[b.result]))


def without_blocks(model: Model, names: Iterable[str]) -> Model:
    """Return a model without some of its blocks.

    Args:
        model: The model; it stays as it is.
        names: Names of blocks of `find_blocks`.

    Raises:
        UnknownNameError: If there is no such block.
    """
    blocks = {block.name: block for block in find_blocks(model)}
    edit = model.edit()
    gone = set(names)
    for name in gone - blocks.keys():
        raise UnknownNameError("block", name, blocks)
    # The last one first: what it reads may be what another one gives that goes too.
    for block in (block for block in reversed(blocks.values()) if block.name in gone):
        given, result = edit.values[block.given], edit.values[block.result]
        if result.is_graph_output():  # it keeps its name and goes through
            node = result.producer()
            assert node is not None
            again = edit.node("Identity", [given], f"{result.name}_given")
            edit.graph.insert_after(node, again)
            _take_over(edit.graph, result, again.outputs[0])
        else:
            result.replace_all_uses_with(given)
    return edit.done()


def _take_over(graph: ir.Graph, old: ir.Value, new: ir.Value) -> None:
    """Let another value be an output under the name of the old one."""
    new.type, new.shape = old.type, old.shape
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    name, old.name = old.name, f"{old.name}_gone"
    new.name = name


def _residual(node: ir.Node, known: Known) -> tuple[ir.Value, set[ir.Node]] | None:
    """Return the shortcut of a residual block that ends in a node, and the nodes of the block."""
    if node.op_type != "Add" or node.domain not in STANDARD or len(node.inputs) < 2:  # noqa: PLR2004
        return None
    wanted = known.shapes(node.outputs[0])
    for shortcut, branch in (node.inputs, reversed(node.inputs)):
        if shortcut is None or branch is None or wanted is None or is_constant(shortcut):
            continue
        if known.shapes(shortcut) == wanted == known.shapes(branch):
            nodes = _computed_from(branch, shortcut)
            if nodes:
                return shortcut, nodes
    return None


def _computed_from(value: ir.Value, source: ir.Value) -> set[ir.Node] | None:
    """Return the nodes that compute a value from another and from constants, or None."""
    nodes: set[ir.Node] = set()
    open_, seen = [value], {value}
    while open_:
        current = open_.pop()
        if current is source or is_constant(current):
            continue
        node = current.producer()
        if node is None:
            return None
        nodes.add(node)
        new = [v for v in node.inputs if v is not None and v not in seen]
        seen.update(new)
        open_ += new
    return nodes if source in seen else None


def _multiplies(layer: Layer) -> bool:
    return layer.weight.role in MULTIPLIED


def _keeps_shape(layer: Layer, known: Known, taken: set[ir.Node]) -> bool:
    """Say whether a layer outside of all blocks gives what it reads in shape."""
    node = layer.node
    if layer.op_type not in _LAYERS or node in taken or node.inputs[0] is None:
        return False
    shapes = known.shapes(node.inputs[0])
    same = shapes is not None and shapes == known.shapes(node.outputs[0])
    return same and not is_constant(node.inputs[0])


def _single(layer: Layer) -> Block:
    given = layer.node.inputs[0]
    assert given is not None
    return _block([layer], given, layer.node.outputs[0], residual=False)


def _block(layers: Sequence[Layer], given: ir.Value, result: ir.Value, *, residual: bool) -> Block:
    names = tuple(layer.name for layer in layers)
    first = next(layer.name for layer in layers if _multiplies(layer))
    return Block(first, names, given.name or "", result.name or "", residual)
