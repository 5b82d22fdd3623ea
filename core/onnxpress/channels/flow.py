"""One walk over a graph that asks the rules how channels flow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.activity import captured
from onnxpress.channels.known import Known
from onnxpress.channels.labels import Ids, Labels
from onnxpress.channels.site import Fix, Key, Option, Port, Site, describe
from onnxpress.channels.table import FlowRule
from onnxpress.graph.constants import is_constant, subgraphs
from onnxpress.rules import RuleTable

Choice: TypeAlias = tuple[int, int]
Choices: TypeAlias = Mapping[Choice, int]


class Flow:
    """One walk over a graph, and what it found.

    Attributes:
        known: Shapes and small contents.
        heads_first: Whether an axis that is split is rather cut at its outer part.
        labels: Numbers of positions, and what is known of them.
        axes: The numbers on every axis that may be cut or has a fixed size of two or more.
        ports: A port for every tensor that has axes, by its key.
        fixes: What makes nodes fit when something was cut, in graph order.
        heads: Numbers that count attention heads.
        unknown: Nodes whose operator has no rule.
        taken: For every choice, by the number of its node and its place among the choices there,
            the numbers of what could be cut, and how many ways there are.
        mentioned: The axes that the rule of the present node spoke of.
    """

    def __init__(
        self,
        model: ir.Model,
        known: Known,
        table: RuleTable[FlowRule],
        *,
        heads_first: bool = False,
        cut_outputs: Collection[str] = (),
        choices: Choices | None = None,
    ) -> None:
        self.known = known
        self.heads_first = heads_first
        self.labels = Labels()
        self.axes: dict[tuple[Key, int], Ids] = {}
        self.ports: dict[Key, Port] = {}
        self.fixes: list[Fix] = []
        self.heads: list[Ids] = []
        self.unknown: list[ir.Node] = []
        self.taken: dict[Choice, tuple[Ids, int]] = {}
        self.mentioned: set[tuple[Key, int]] = set()
        self._model = model
        self._table = table
        self._choices = choices or {}
        self._asked: dict[int, int] = {}
        self._made: set[ir.Value] = set()
        self._open: list[tuple[Port, int, Port, int]] = []
        self._walk(cut_outputs)

    def port(self, value: ir.Value, use: tuple[ir.Node, int] | None = None) -> Port | None:
        """Return a tensor as a node sees it, None if nothing is known of its shape."""
        key: Key = value if use is None or not _only_equal(value) else (value, *use)
        found = self.ports.get(key)
        if found is None:
            shapes, sizes = self.known.shapes(value), self.known.sizes(value)
            if shapes is None or sizes is None:
                return None
            found = self.ports[key] = Port(value, key, sizes, shapes)
        return found

    def ids(self, port: Port, axis: int) -> Ids | None:
        """Return the numbers on an axis, None if it can't be cut.

        An axis of one position can't, and one of any size only if it counts something of fixed
        size within something else, as ``batch · heads``: then these are the numbers of the
        inner part, which repeat.
        """
        size = port.sizes[axis]
        found = self.axes.get((port.key, axis))
        if size is not None and size < 2:  # noqa: PLR2004  # the last one stays
            return None
        if found is None and size is not None:
            found = self.axes[port.key, axis] = self.labels.fresh(size)
        return found

    def alias(self, a: Port, i: int, b: Port, j: int) -> None:
        """Let two axes of the same size have the same numbers."""
        first, second = self.axes.get((a.key, i)), self.axes.get((b.key, j))
        if first is None and second is None:
            first = self.ids(a, i)
        if first is None and second is None:
            self._open.append((a, i, b, j))
        elif first is None and second is not None:
            self._give(second, a, i)
        elif second is None and first is not None:
            self._give(first, b, j)
        elif first is not None and second is not None:
            self.join(first, second)

    def _give(self, ids: Ids, port: Port, axis: int) -> None:
        """Let an axis have numbers; one of any size that was made without any can't be cut."""
        if port.sizes[axis] is None and port.value in self._made:
            self.labels.pin(ids, f"{port.value.name!r} has any number of them")
        else:
            self.axes[port.key, axis] = ids

    def join(self, first: Ids, second: Ids) -> None:
        """Let numbers that repeat along one axis be cut together, each as often as it must."""
        longest = max(first.size, second.size)
        if longest % first.size or longest % second.size:
            for ids in (first, second):
                self.labels.pin(ids, "two axes that count different things are one")
        else:
            self.labels.tie(np.resize(first, longest), np.resize(second, longest))

    def choose(self, options: Sequence[Option]) -> None:
        """Take one of several ways, and note what it leaves to be cut."""
        number = self.labels.source
        key = (number, self._asked.get(number, 0))
        self._asked[number] = key[1] + 1
        if options:  # there may be fewer than before, where an earlier choice left no repetition
            ids = options[min(self._choices.get(key, 0), len(options) - 1)]()
            self.taken[key] = ids, len(options)

    def _walk(self, cut_outputs: Collection[str]) -> None:
        graph = self._model.graph
        for value in graph.inputs:
            self._keep_whole(value, "it is an input of the model")
            self._made.add(value)
        for number, node in enumerate(graph):
            self.labels.source = number
            self._visit(node)
        self.labels.source = -1
        for value in graph.outputs:
            if value.name not in cut_outputs:
                self._keep_whole(value, f"it is the output {value.name!r} of the model")

    def _visit(self, node: ir.Node) -> None:
        self.mentioned.clear()
        rule = self._rule(node)
        if rule is None:
            if node.op_type != "Constant":
                self.unknown.append(node)
        else:
            rule(Site(node, self))
        self._close()
        self._made.update(node.outputs)
        why = "needs all of them" if rule else "has no channel-flow rule"
        self._keep_rest(node, f"{describe(node)} {why}")
        for body in subgraphs(node):
            for value in captured(body):
                self._keep_whole(value, f"the body of {describe(node)} reads it")

    def _close(self) -> None:
        """Look again at axes of any size that are the same, now that the rule has said all."""
        left, self._open = self._open, []
        while left:
            for entry in left:
                self.alias(*entry)
            if len(self._open) == len(left):  # nothing got numbers, and nothing will
                self._open = []
            left, self._open = self._open, []

    def _rule(self, node: ir.Node) -> FlowRule | None:
        return self._table.find(
            node.op_type, node.domain, self._model.opset_imports.get(node.domain)
        )

    def _keep_rest(self, node: ir.Node, reason: str) -> None:
        """Pin what the rule of a node did not mention."""
        uses = [(v, (node, i)) for i, v in enumerate(node.inputs) if v is not None]
        ports = [self.port(v, use) for v, use in uses] + [self.port(v) for v in node.outputs]
        for port in ports:
            for axis in range(port.rank if port else 0):
                if port is not None and (port.key, axis) not in self.mentioned:
                    ids = self.ids(port, axis)
                    if ids is not None and node.op_type != "Constant":
                        self.labels.pin(ids, reason)

    def _keep_whole(self, value: ir.Value, reason: str) -> None:
        port = self.port(value)
        for axis in range(port.rank if port else 0):
            ids = None if port is None else self.ids(port, axis)
            if ids is not None:
                self.labels.pin(ids, reason)


def _only_equal(value: ir.Value) -> bool:
    """Say whether a stored tensor is a vector that several nodes share, if only by chance."""
    if len(value.uses()) < 2 or not is_constant(value):  # noqa: PLR2004
        return False
    shape = value.shape.numpy() if value.shape is not None else (0, 0)
    return sum(size != 1 for size in shape) <= 1
