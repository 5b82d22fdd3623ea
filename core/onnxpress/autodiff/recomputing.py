"""Recomputation: less memory for more time (Chen et al. 2016, arXiv:1604.06174).

The backward pass needs what the forward pass computed.  Instead of keeping all of it, some
tensors are kept, and what lies between two of them is computed again when the way back comes
to it.  A copy of the forward nodes would do, but ONNX Runtime merges equal nodes, and runs a
node as soon as its inputs are there.  So what a copy reads is made to depend on the gradient
that has just arrived, by a Reshape to its own shape, which copies nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import isqrt
from typing import TYPE_CHECKING, Final

import onnx_ir as ir

from onnxpress.autodiff.builder import UNSTEADY, attributes_of
from onnxpress.errors import UnknownNameError, UsageError
from onnxpress.graph.constants import subgraphs

if TYPE_CHECKING:
    from onnxpress.autodiff.builder import Builder
    from onnxpress.autodiff.tensor import Tensor

_STATISTICS: Final = 3  # the first input of BatchNormalization that holds any
_MINIMUM: Final = 2  # segments; one alone would compute everything twice at once


class Recomputing:
    """Stands in for forward values while the way back passes one segment after another.

    Args:
        nodes: The forward pass, in order.
        kept: The tensors to keep; a segment ends with each of them.
    """

    def __init__(self, nodes: Sequence[ir.Node], kept: Collection[ir.Value]) -> None:
        self._segment: dict[ir.Node, int] = {}
        number = 0
        for node in nodes:
            self._segment[node] = number
            if any(value in kept for value in node.outputs):
                number += 1
        self._last = number
        self._kept = kept
        self._now = number
        self._copies: dict[ir.Value, Tensor] = {}
        self._after: Tensor | None = None

    def enter(self, node: ir.Node, arrived: Sequence[Tensor | None]) -> None:
        """Note which node comes next on the way back, and the gradients of its outputs."""
        segment = self._segment.get(node, self._last)
        if segment != self._now:
            self._now, self._copies = segment, {}
            self._after = next(gradient for gradient in arrived if gradient is not None)

    def stand_in(self, op: Builder, value: ir.Value) -> Tensor:
        """Return a forward value: itself, or computed again if it is in the present segment."""
        if self._now == self._last or self._after is None:
            return op.tensor(value)
        if value not in self._copies:
            self._copies[value] = self._copied(op, value, self._after)
        return self._copies[value]

    def _copied(self, op: Builder, value: ir.Value, after: Tensor) -> Tensor:
        node = value.producer()
        if node is None or self._segment.get(node) is None:
            return op.tensor(value)
        if value in self._kept or self._segment[node] != self._now:
            return _later(op.tensor(value), after)
        if node.op_type in UNSTEADY or any(subgraphs(node)):
            return op.tensor(value)
        inputs = [None if v is None else self.stand_in(op, v) for v in node.inputs]
        if all(x is None or x.value is v for x, v in zip(inputs, node.inputs, strict=True)):
            inputs = _delayed(inputs, after)
        if node.op_type == "BatchNormalization" and len(node.outputs) > 1:
            inputs = [*inputs[:_STATISTICS], *(_own(x, after) for x in inputs[_STATISTICS:])]
        made = op.many(
            node.op_type, len(node.outputs), *inputs, domain=node.domain, **attributes_of(node)
        )
        for old, new in zip(node.outputs, made, strict=True):
            self._copies[old] = op.typed(new.value, old.dtype, op.tensor(old).shape)
        return self._copies[value]


def _delayed(inputs: list[Tensor | None], after: Tensor) -> list[Tensor | None]:
    """Let a node that reads nothing but what is there from the start wait by its first input."""
    index = next((i for i, x in enumerate(inputs) if x is not None), None)
    return [x if x is None or i != index else _later(x, after) for i, x in enumerate(inputs)]


def _own(x: Tensor | None, after: Tensor) -> Tensor | None:
    """Copy a running statistic: ONNX Runtime writes the next one where it lies."""
    if x is None:
        return None
    return x.op.typed(x.op("Sum", _later(x, after)).value, x.dtype, x.shape)


def _later(x: Tensor, after: Tensor) -> Tensor:
    """Return `x`, but not before `after` is known: its shape plus a zero made of `after`."""
    op = x.op
    first = op("Gather", after.reshape(-1), op.ints(0), axis=0)
    nothing = op("IsNaN", first.cast(ir.DataType.FLOAT)).cast(ir.DataType.INT64) * 0
    moved = op("Reshape", x, x.sizes() + nothing)
    return op.typed(moved.value, x.dtype, x.shape)


def recomputing(
    nodes: Sequence[ir.Node],
    checkpoint: Sequence[str] | int,
    values: Mapping[str, ir.Value],
) -> Recomputing:
    """Return what computes a forward pass again, but for the tensors to keep.

    Args:
        nodes: The forward pass, in order.
        checkpoint: Their names; or how many segments to make, 0 for the square root of the
            number of nodes.  A segment then ends where the fewest tensors are still needed,
            near its share of the nodes.
        values: Every tensor by name.

    Raises:
        UnknownNameError: If there is no tensor of a name.
        UsageError: If the number is 1 or negative.
    """
    if not isinstance(checkpoint, int):
        return Recomputing(nodes, {_named(values, name) for name in checkpoint})
    count = checkpoint or isqrt(len(nodes))
    if count < _MINIMUM and checkpoint:
        raise UsageError(f"checkpoint={checkpoint}: give at least 2 segments, or 0 to choose")
    return Recomputing(nodes, _narrow_places(nodes, max(count, _MINIMUM)))


def _named(values: Mapping[str, ir.Value], name: str) -> ir.Value:
    if name not in values:
        raise UnknownNameError("tensor", name, values)
    return values[name]


def _narrow_places(nodes: Sequence[ir.Node], count: int) -> set[ir.Value]:
    """Return one tensor near the end of each share of the nodes but the last."""
    crossing = _crossing(nodes)
    share = len(nodes) / count
    kept = set()
    for number in range(1, count):
        around = range(int((number - 0.5) * share), int((number + 0.5) * share))
        best = min(around, key=lambda i: (crossing[i], abs(i - number * share)), default=None)
        if best is not None and nodes[best].outputs:
            kept.add(nodes[best].outputs[0])
    return kept


def _crossing(nodes: Sequence[ir.Node]) -> list[int]:
    """Return how many computed tensors are still needed after each node."""
    place = {node: i for i, node in enumerate(nodes)}
    last = {
        value: max((place.get(user, -1) for user, _ in value.uses()), default=-1)
        for node in nodes
        for value in node.outputs
    }
    ends: dict[int, int] = {}
    for end in last.values():
        ends[end] = ends.get(end, 0) + 1
    open_now, result = 0, []
    for index, node in enumerate(nodes):
        open_now += sum(last[value] > index for value in node.outputs)
        result.append(open_now)
        open_now -= ends.get(index + 1, 0)
    return result
