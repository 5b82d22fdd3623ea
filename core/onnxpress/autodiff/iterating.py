"""What a node that runs its body again and again does in each iteration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from onnxpress.autodiff.bodies import renamed
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.tensor import Tensor
from onnxpress.graph.types import type_of


@dataclass(frozen=True)
class State:
    """What one iteration hands to the next.

    Attributes:
        before: The input of the body.
        after: Its output.
        first: Which input of the node is the first value.
        last: Which output of the node is the last one.
    """

    before: ir.Value
    after: ir.Value
    first: int
    last: int


@dataclass(frozen=True)
class Stream:
    """A tensor that is read or written slice by slice.

    Attributes:
        inner: The input or output of the body.
        index: Which input or output of the node it belongs to.
        axis: The axis that is sliced.
        backwards: Whether the last slice comes first.
    """

    inner: ir.Value
    index: int
    axis: int = 0
    backwards: bool = False


@dataclass(frozen=True)
class Source:
    """What the way back reads: slices of `outer`, which `inner` stands for in the new body."""

    inner: ir.Value
    outer: Tensor
    axis: int = 0
    backwards: bool = True


@dataclass(frozen=True)
class Steps:
    """The iterations of a node.

    Attributes:
        body: What is done in each.
        states: What they hand on.
        reads: What they read slice by slice.
        writes: What they write slice by slice.
        remember: Makes the node give out an input of the body for every iteration.
        remembered: Inputs of the body that are neither states nor read: the iteration's number.
        known: What stands for inputs that are always the same.
    """

    body: ir.Graph
    states: Sequence[State]
    reads: Sequence[Stream]
    writes: Sequence[Stream]
    remember: Callable[[ir.Value], Tensor]
    remembered: Sequence[ir.Value] = ()
    known: Mapping[ir.Value, ir.Value] = field(default_factory=dict)


def give_out(at: Site, value: ir.Value, *, ahead: int = 0) -> Tensor:
    """Make a node give out an input of its body for every iteration, stacked; return them all.

    If it does so already, that is what is returned.

    Args:
        at: The node; it is changed in place, and computes what it did before besides.
        value: The input of the body.
        ahead: How many outputs of the body come before those that belong to outputs of the node.
    """
    node, body = at.node, at.node.attributes["body"].as_graph()
    position = next((i for i, v in enumerate(body.outputs) if _is_copy(v, value)), None)
    if position is None or not _is_plain(at, position):
        position = len(body.outputs)
        body.outputs.append(renamed(at.op, body, value))
        node.resize_outputs(len(body.outputs) - ahead)
        for name in ("scan_output_axes", "scan_output_directions"):
            if name in node.attributes:
                node.attributes[name] = ir.AttrInt64s(name, [*(at.ints(name) or ()), 0])
    found = node.outputs[position - ahead]
    found.name = found.name or at.op.name(value.name or "value")
    inner = type_of(value)
    return at.op.typed(found, inner.dtype, None if inner.shape is None else (None, *inner.shape))


def _is_copy(output: ir.Value, value: ir.Value) -> bool:
    node = output.producer()
    return node is not None and node.op_type == "Identity" and node.inputs[0] is value


def _is_plain(at: Site, position: int) -> bool:
    """Say whether an output of a body is stacked along the first axis, in order."""
    states = len(at.node.inputs) - at.integer("num_scan_inputs")
    if at.node.op_type == "Loop":
        return position >= len(at.node.inputs) - 1
    given = [at.ints(name) for name in ("scan_output_axes", "scan_output_directions")]
    return position >= states and all(g is None or g[position - states] == 0 for g in given)
