"""If: the gradient is taken in the branch that is taken."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from onnxpress.autodiff.activity import read_by
from onnxpress.autodiff.bodies import Body
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.graph.types import Dim, type_of


@GRADIENTS("If")
def _if(at: Site) -> Gradients:
    """An If with the same condition, whose branches compute what was read and go back through it.

    What a branch computed is computed once more inside the new branch: the values of a branch
    can't be seen from outside, and those of the other one don't exist.
    """
    read = read_by(at.node)[1:]
    wanted = list(dict.fromkeys(v for i, v in enumerate(read, 1) if at.needs(i)))
    if not wanted:
        return None
    then, other = (
        _branch(at, at.node.attributes[name].as_graph(), wanted)
        for name in ("then_branch", "else_branch")
    )
    condition = at.input(0)
    results = at.op.many("If", len(wanted), condition, then_branch=then, else_branch=other)
    found = {
        value: at.op.typed(result.value, value.dtype, at.op.tensor(value).shape)
        for value, result in zip(wanted, results, strict=True)
    }
    return [None, *(found.pop(value, None) for value in read)]


def _branch(at: Site, branch: ir.Graph, wanted: Sequence[ir.Value]) -> ir.Graph:
    """Return a branch that gives the gradients of `wanted`, zeros where it does not read them."""
    body = Body(at.op, branch)
    pairs = [(v, dy) for v, dy in zip(branch.outputs, at.dy, strict=True) if dy is not None]
    taken = all(_may_be(dy.shape, type_of(value).shape) for value, dy in pairs)
    arrived = [(value, body.inside(dy, body[value])) for value, dy in pairs if taken]
    found = at.walk.back(body.op, body.nodes, body.seeds(arrived), wanted)
    for value in wanted:
        like = body.op.tensor(value)
        body.output(found.get(value) or body.op.zeros_like(like), like)
    body.prune()
    return body.graph


def _may_be(known: tuple[Dim, ...] | None, other: tuple[Dim, ...] | None) -> bool:
    """Say whether both may be one shape; where the condition is known, only one branch's can."""
    if known is None or other is None:
        return True
    pairs = zip(known, other, strict=False)
    differ = any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)
    return len(known) == len(other) and not differ
