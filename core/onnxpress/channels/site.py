"""What a channel-flow rule sees of a node, and what it may say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.channels.known import Sizes
from onnxpress.graph.constants import Shape

if TYPE_CHECKING:
    from onnxpress.channels.cut import Cut
    from onnxpress.channels.flow import Flow
    from onnxpress.channels.labels import Ids
    from onnxpress.data.batch import Array

Key: TypeAlias = "ir.Value | tuple[ir.Value, ir.Node, int]"
Fix: TypeAlias = "Callable[[Cut], None]"
Option: TypeAlias = "Callable[[], Ids]"


@dataclass(frozen=True, eq=False, slots=True)
class Port:
    """A tensor as one node sees it.

    Attributes:
        value: The tensor.
        key: Whose axes these are: the tensor, or its use by this node alone, for a stored
            vector, which exporters share between layers only because it is equal.
        sizes: Its shape; None for an axis whose size depends on the inputs.
        shapes: Its shape for two sets of inputs of different sizes.
    """

    value: ir.Value
    key: Key
    sizes: Sizes
    shapes: tuple[Shape, Shape]

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.sizes)


@dataclass(frozen=True, slots=True)
class Site:
    """A node on which a rule says how channels flow.

    Every axis of every input and output that no call here mentions is never cut: a rule that
    forgets one is of no use, but it does no harm.
    """

    node: ir.Node
    flow: Flow

    # What the node is.

    def input(self, index: int) -> Port | None:
        """Return an input; None if it is absent, or nothing is known of its shape."""
        value = self.node.inputs[index] if index < len(self.node.inputs) else None
        return None if value is None else self.flow.port(value, (self.node, index))

    def output(self, index: int = 0) -> Port | None:
        """Return an output; None if it is absent, or nothing is known of its shape."""
        if index >= len(self.node.outputs) or self.node.outputs[index].name == "":
            return None
        return self.flow.port(self.node.outputs[index])

    @property
    def inputs(self) -> tuple[Port | None, ...]:
        """All inputs."""
        return tuple(self.input(i) for i in range(len(self.node.inputs)))

    @property
    def outputs(self) -> tuple[Port | None, ...]:
        """All outputs."""
        return tuple(self.output(i) for i in range(len(self.node.outputs)))

    def given(self, index: int) -> bool:
        """Say whether the node has an input, whatever is known of it."""
        return index < len(self.node.inputs) and self.node.inputs[index] is not None

    def integer(self, name: str, default: int) -> int:
        """Return an attribute."""
        return self.node.attributes.get_int(name, default)

    def integers(self, name: str) -> Sequence[int] | None:
        """Return an attribute that is a list, None if it is not given."""
        attribute = self.node.attributes.get(name)
        return None if attribute is None else attribute.as_ints()

    def text(self, name: str, default: str) -> str:
        """Return an attribute."""
        return self.node.attributes.get_string(name, default)

    def array(self, index: int) -> Array | None:
        """Return the elements of an input that is stored or follows from fixed sizes."""
        return self.flow.known.array(self.node.inputs[index]) if self.given(index) else None

    # How channels flow.

    def same(self, a: Port, i: int, b: Port, j: int) -> None:
        """Let axis `i` of `a` and axis `j` of `b` count the same channels, in the same order."""
        self._mention(a, i)
        self._mention(b, j)
        if a.sizes[i] == b.sizes[j]:
            self.flow.alias(a, i, b, j)
        else:
            self.keep(a, i, f"{self.label} needs all of them")
            self.keep(b, j, f"{self.label} needs all of them")

    def tie(
        self, a: Port, i: int, b: Port, j: int, at_a: Array | slice, at_b: Array | slice
    ) -> None:
        """Let single positions on two axes be cut together: ``at_a[n]`` with ``at_b[n]``."""
        self._mention(a, i)
        self._mention(b, j)
        first, second = self.flow.ids(a, i), self.flow.ids(b, j)
        if a.sizes[i] is None or b.sizes[j] is None:
            self.keep(a, i, f"{self.label} needs all of them")
            self.keep(b, j, f"{self.label} needs all of them")
        elif first is not None and second is not None:
            self.flow.labels.tie(first[at_a], second[at_b])
        elif first is not None:
            self.flow.labels.pin(first[at_a], f"{self.label} needs all of them")
        elif second is not None:
            self.flow.labels.pin(second[at_b], f"{self.label} needs all of them")

    def digit(self, a: Port, i: int, classes: Array, shared: Ids) -> None:
        """Let position ``n`` on an axis be cut with ``shared[classes[n]]``."""
        self._mention(a, i)
        ids = self.flow.ids(a, i)
        if ids is None or a.sizes[i] is None:
            self.flow.labels.pin(shared, f"{self.label} needs all of them")
        if ids is not None and a.sizes[i] is None:
            self.flow.labels.pin(ids, f"{self.label} needs all of them")
        elif ids is not None:
            self.flow.labels.tie(ids, shared[classes])

    def repeat(self, a: Port, i: int, classes: Array, shared: Ids) -> None:
        """Let an axis of any size repeat a pattern: position ``n`` is cut with that of the pattern.

        The pattern is ``shared[classes]``, and ``n`` counts on from its beginning at its end.
        """
        self._mention(a, i)
        ids = self.flow.ids(a, i)
        if ids is None:
            self.flow.axes[a.key, i] = shared[classes]
        else:
            self.flow.join(ids, shared[classes])

    def free(self, a: Port, i: int) -> None:
        """Let positions on an axis be cut without a trace elsewhere at this node."""
        self._mention(a, i)
        self.flow.ids(a, i)

    def keep(self, a: Port, i: int, reason: str) -> None:
        """Let an axis never be cut; `reason` says why, as in ``… because {reason}``."""
        self._mention(a, i)
        ids = self.flow.ids(a, i)
        if ids is not None:
            self.flow.labels.pin(ids, reason)

    def elementwise(self, inputs: Sequence[Port | None], output: Port | None) -> None:
        """Let the axes of inputs that broadcast to an output go with its axes."""
        if output is None:
            return
        for given in inputs:
            if given is not None:
                self.broadcast(given, output)

    def broadcast(self, given: Port, output: Port, axes: Sequence[int] | None = None) -> None:
        """Let axes that broadcast, aligned at the last one, go with those of the output.

        Args:
            given: An input.
            output: The output, or anything else of its shape.
            axes: Only these axes of `output`; all by default.
        """
        spare = output.rank - given.rank
        for axis in range(output.rank) if axes is None else axes:
            if axis >= spare:
                if given.sizes[axis - spare] == 1 != output.sizes[axis]:
                    self.free(given, axis - spare)
                else:
                    self.same(given, axis - spare, output, axis)

    def choose(self, options: Sequence[Option]) -> None:
        """Take the first of several ways that leaves something to cut.

        Args:
            options: Each says how channels flow, and returns the numbers of what could be cut.
        """
        self.flow.choose(options)

    def fresh(self, size: int) -> Ids:
        """Return new numbers, for `digit`."""
        return self.flow.labels.fresh(size)

    def on_cut(self, fix: Fix) -> None:
        """Have `fix` run when something was cut: it makes the node fit its new sizes."""
        self.flow.fixes.append(fix)

    def mark_heads(self, a: Port, i: int) -> None:
        """Note that an axis counts attention heads."""
        ids = self.flow.ids(a, i)
        if ids is not None:
            self.flow.heads.append(ids)

    @property
    def label(self) -> str:
        """What to call the node in a text: its operator and its name."""
        return describe(self.node)

    def _mention(self, a: Port, i: int) -> None:
        self.flow.mentioned.add((a.key, i))


def describe(node: ir.Node) -> str:
    """Return what to call a node in a text: ``Softmax 'attn/softmax'``."""
    name = node.name or next((v.name for v in node.outputs if v.name), "")
    return f"{node.op_type} {name!r}"


def axis_of(axis: int, port: Port) -> int:
    """Return an axis counted from the front."""
    return axis % port.rank if port.rank else axis


def positions(array: Any) -> Array:
    """Return integers as an array to index with."""
    return np.asarray(array, np.int64)
