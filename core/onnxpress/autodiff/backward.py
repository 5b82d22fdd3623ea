"""The walk: from the outputs of a graph back to what they depend on, rule by rule."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from onnxpress.autodiff.activity import NO_GRADIENT, depends, leads, read_by
from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.missing import LackingRuleError, missing_rules
from onnxpress.autodiff.recomputing import Recomputing
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GradientRule
from onnxpress.autodiff.tensor import Tensor
from onnxpress.graph.constants import STANDARD
from onnxpress.rules import RuleTable


@dataclass(frozen=True)
class Walk:
    """How to differentiate: the rules, the opsets, and what is taken as the identity.

    Attributes:
        table: One rule per operator.
        opsets: Which version of each operator set the graph uses.
        through: Operators of no slope (Round, Sign, Floor, Ceil) whose gradient is passed on
            as if they were the identity.
    """

    table: RuleTable[GradientRule]
    opsets: Mapping[str, int]
    through: frozenset[str] = field(default_factory=frozenset)

    def rule(self, node: ir.Node) -> GradientRule | None:
        """Return the rule for a node."""
        return self.table.find(node.op_type, node.domain, self.opsets.get(node.domain))

    def moves(self, node: ir.Node) -> bool:
        """Say whether a small change of a node's inputs may change its outputs."""
        return node.op_type not in NO_GRADIENT or node.domain not in STANDARD

    def back(
        self,
        op: Builder,
        nodes: Sequence[ir.Node],
        seeds: Mapping[ir.Value, Tensor],
        wrt: Collection[ir.Value],
        again: Recomputing | None = None,
    ) -> dict[ir.Value, Tensor]:
        """Add nodes that compute the gradients of `wrt`.

        Args:
            op: Adds the nodes; it sees all values of `nodes`.
            nodes: What to differentiate, in the order of the graph.
            seeds: The gradients of some values, to begin with.
            wrt: The values whose gradients are wanted.
            again: What of the forward pass to compute again; None keeps all that is needed.

        Returns:
            A gradient for each of `wrt` on which a seed depends.

        Raises:
            MissingRuleError: If the way leads through an operator without a rule.
        """
        active = depends(nodes, wrt, self.moves)
        active &= leads(nodes, seeds, self.moves)
        passed = [n for n in nodes if self._passes(n, active)]
        missing = [node for node in passed if self.rule(node) is None]
        if missing:
            raise missing_rules(missing, nodes, wrt, self)
        terms: dict[ir.Value, list[Tensor]] = {v: [t] for v, t in seeds.items() if v in active}
        for node in reversed(passed):
            try:
                self._step(op, node, terms, active, again)
            except LackingRuleError as error:  # in a body: what it lists is of no use out here
                raise missing_rules(error.nodes, nodes, wrt, self, node) from None
        return {value: op.add(terms[value]) for value in wrt if terms.get(value)}

    def _passes(self, node: ir.Node, active: Collection[ir.Value]) -> bool:
        reads = any(value in active for value in read_by(node))
        return reads and self.moves(node) and any(value in active for value in node.outputs)

    def _step(
        self,
        op: Builder,
        node: ir.Node,
        terms: dict[ir.Value, list[Tensor]],
        active: Collection[ir.Value],
        again: Recomputing | None,
    ) -> None:
        """Add to `terms` what one node contributes to the gradients of what it reads."""
        arrived = [_total(op, terms, value) for value in node.outputs]
        if all(gradient is None for gradient in arrived):
            return
        if again is not None:
            again.enter(node, arrived)
        site = self._site(op, node, arrived, active, again)
        rule = self.rule(node)
        assert rule is not None  # checked before the walk
        found = rule(site)
        gradients = [found] if isinstance(found, Tensor) else found or ()
        for value, gradient in zip(self._receivers(node), gradients, strict=False):
            if value is not None and gradient is not None and value in active:
                terms.setdefault(value, []).append(gradient)

    def _receivers(self, node: ir.Node) -> Iterable[ir.Value | None]:
        """Return what the gradients of a rule belong to: inputs, then what bodies capture."""
        yield from node.inputs
        yield from read_by(node)[sum(v is not None for v in node.inputs) :]

    def _site(
        self,
        op: Builder,
        node: ir.Node,
        arrived: Sequence[Tensor | None],
        active: Collection[ir.Value],
        again: Recomputing | None,
    ) -> Site:
        def forward(value: ir.Value | None) -> Tensor | None:
            if value is None or not value.name:
                return None
            return op.tensor(value) if again is None else again.stand_in(op, value)

        return Site(
            node=node,
            op=op,
            x=tuple(map(forward, node.inputs)),
            y=tuple(map(forward, node.outputs)),
            dy=tuple(arrived),
            wanted=frozenset(i for i, v in enumerate(self._receivers(node)) if v in active),
            walk=self,
        )


def _total(op: Builder, terms: dict[ir.Value, list[Tensor]], value: ir.Value) -> Tensor | None:
    """Return the sum of what arrived at a value, and keep it in place of the parts."""
    arrived = terms.get(value)
    if not arrived:
        return None
    total = op.add(arrived)
    if total.shape is None or total.dtype is None:
        total = _as(op, total, value)
    terms[value] = [total]
    return total


def _as(op: Builder, gradient: Tensor, value: ir.Value) -> Tensor:
    """Note that a gradient has the shape of its value, and its type if that is a float."""
    like = op.tensor(value)
    floating = like.dtype is not None and like.dtype.is_floating_point()
    dtype = gradient.dtype or (like.dtype if floating else None)
    return op.typed(gradient.value, dtype, gradient.shape or like.shape)
