"""Writing out operators that have no gradient rule by the bodies that the ONNX standard gives."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import onnx_ir as ir

from onnxpress.autodiff.activity import captured, depends, leads, read_by
from onnxpress.autodiff.inline import inline
from onnxpress.autodiff.standard import standard_body
from onnxpress.graph.constants import STANDARD, subgraphs

if TYPE_CHECKING:
    from onnxpress.autodiff.backward import Walk

DEEPEST: Final = 8
"""How often bodies are written out that were in bodies; the standard's are at most 3 deep."""


def expand_nodes(model: ir.Model, walk: Walk, of: Collection[str], wrt: Collection[str]) -> bool:
    """Write out, in place, the nodes on the way that have a standard body but no rule.

    Bodies may hold such nodes again: call it until there is nothing to do, with types noted
    in between.  Everything that the nodes compute keeps its name.

    Args:
        model: The graph, with types.
        walk: The rules.
        of: Names of what is differentiated.
        wrt: Names of what it is differentiated with respect to.

    Returns:
        Whether there were any.
    """
    nodes = list(model.graph)
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    values += [value for node in nodes for value in node.outputs]
    sources = {value for value in values if value.name in wrt}
    targets = {value for value in values if value.name in of}
    lacking = [n for n in crossed(nodes, sources, targets, walk) if walk.rule(n) is None]
    found = [node for node in lacking if _write_out(model, node)]
    if found:
        inline(model)
    return bool(found)


def crossed(
    nodes: Sequence[ir.Node],
    sources: Collection[ir.Value],
    targets: Collection[ir.Value],
    walk: Walk,
) -> Iterator[ir.Node]:
    """Visit the nodes that lie on a way from `sources` to `targets`, those in bodies too."""
    active = depends(nodes, sources, walk.moves) & leads(nodes, targets, walk.moves)
    for node in nodes:
        if not (walk.moves(node) and _any(read_by(node), active) and _any(node.outputs, active)):
            continue
        yield node
        for body in subgraphs(node):
            known = {*body.inputs, *(value for value in captured(body) if value in active)}
            yield from crossed(list(body), known, body.outputs, walk)


def _any(values: Iterable[ir.Value], among: Collection[ir.Value]) -> bool:
    return any(value in among for value in values)


def _write_out(model: ir.Model, node: ir.Node) -> bool:
    """Turn a node into a call of a function of the model's, and say whether that could be done."""
    if node.domain not in STANDARD or any(subgraphs(node)):
        return False
    opset = model.opset_imports.get("", 0)
    function = standard_body(node, opset, f"{node.op_type}.{len(model.functions)}")
    if function is None:
        return False
    for inner in function.all_nodes():  # names that tell where they come from, and that are new
        for value in inner.outputs:
            value.name = f"{node.outputs[0].name}.{value.name}"
    model.functions[function.identifier()] = function
    node.domain, node.op_type = function.domain, function.name
    return True
