"""Where the batch is in a tensor, and what a repair may see and change of a node.

A reshape sees a tensor as a row of digits: ``outer`` numbers before the batch, the batch,
``inner`` numbers behind it.  However it cuts the row into axes, that order stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from onnxpress.graph.constants import Shape

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.edit import Editor


@dataclass(frozen=True, slots=True)
class Place:
    """Where the batch is in a tensor.

    Attributes:
        axis: The axis that counts samples.
        outer: How many numbers before the batch were merged into that axis.
        inner: How many behind it were: the axis counts ``outer × batch × inner``.
    """

    axis: int
    outer: int = 1
    inner: int = 1

    @property
    def merged(self) -> int:
        """How many numbers the axis counts for each sample."""
        return self.outer * self.inner

    @property
    def alone(self) -> bool:
        """Whether the axis counts samples and nothing else."""
        return self.merged == 1


def carried(place: Place, before: Shape, after: Shape, batch: int) -> list[Place]:
    """Return where the batch may be after a reshape, the likeliest first.

    Args:
        place: Where it is before.
        before: The shape before, with the fixed batch size.
        after: The shape after, with the fixed batch size.
        batch: That size.
    """
    outer = math.prod(before[: place.axis]) * place.outer
    inner = math.prod(before[place.axis + 1 :]) * place.inner
    places = []
    for axis, size in enumerate(after):
        left, right = math.prod(after[:axis]), math.prod(after[axis + 1 :])
        if left and right and outer % left == 0 and inner % right == 0:
            found = Place(axis, outer // left, inner // right)
            if found.merged * batch == size:
                places.append(found)
    # An axis of its own is likelier than a merged one, and the same axis than another; of those
    # that are merged, the first, because (steps, batch, …) becomes rows.
    return sorted(places, key=lambda p: (not p.alone, p.alone and p.axis != place.axis))


@dataclass(frozen=True)
class Site:
    """One node whose fixed sizes are to make room for any batch size.

    Attributes:
        node: The node, in the graph that is changed.
        edit: The editor of that graph.
        batch: The batch size that was fixed.
        factor: How many times that size a probe is.
        place: Says where the batch is in a tensor, None if it is not there.
        old: Says what shape a tensor had, None unless all of it is numbers.
        probe: Says which elements a small tensor has with the probe's batch size.
        insert: Puts a node before this one, and returns its result.
        put: Notes where the batch is in a tensor.
    """

    node: ir.Node
    edit: Editor
    batch: int
    factor: int
    place: Callable[[ir.Value | None], Place | None]
    old: Callable[[ir.Value | None], Shape | None]
    probe: Callable[[ir.Value | None], Array | None]
    insert: Callable[[ir.Node], ir.Value]
    put: Callable[[ir.Value, Place], None]

    def input(self, index: int) -> ir.Value | None:
        """Return an input, None if it is left out."""
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def sizes(self, index: int) -> list[int] | None:
        """Return an input that lists sizes, as it is with the probe's batch size."""
        found = self.probe(self.input(index))
        return None if found is None else [int(size) for size in found.reshape(-1)]

    def set_sizes(self, index: int, sizes: Sequence[int]) -> None:
        """Give the node another list of sizes."""
        name = f"{self.node.name or self.node.outputs[0].name}_sizes"
        self.node.replace_input_with(index, self.ints(sizes, name))

    def ints(self, numbers: Sequence[int], name: str) -> ir.Value:
        """Return a stored vector of int64."""
        return self.edit.constant(np.array(numbers, np.int64), name)

    def new(self, op_type: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        """Put a node before this one, and return its result."""
        name = f"{self.node.name or self.node.outputs[0].name}_{op_type.lower()}"
        return self.insert(self.edit.node(op_type, inputs, name, attributes))
