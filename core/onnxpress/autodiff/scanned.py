"""Writing a Scan down as a function of one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import onnx_ir as ir

from onnxpress.autodiff.bodies import fresh, renamed
from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.tensor import Tensor
from onnxpress.graph.types import Dim

Step: TypeAlias = Callable[..., tuple[Sequence[Tensor], Sequence[Tensor]]]
"""From the states before, one slice of everything that is read, and what is read whole, to the
states after and one slice of everything that is written."""


def scanned(
    op: Builder,
    step: Step,
    states: Sequence[Tensor],
    reads: Sequence[Tensor],
    whole: Sequence[Tensor] = (),
    *,
    backwards: bool = False,
) -> tuple[list[Tensor], list[Tensor]]:
    """Add a Scan over the first axis; return the states at the end and all that was written.

    Args:
        op: The builder.
        step: Adds the nodes of one step; it is called once, with tensors of the body.
        states: What the states are at first.
        reads: What is read slice by slice.
        whole: What every step reads as it is.
        backwards: Whether to begin with the last slice; what is written then is in the order of
            what is read all the same.
    """
    graph = ir.Graph([], [], nodes=[], name=op.name("steps"))
    inner = op.inner(graph)
    inputs = [fresh(op, "state", s.value, s.shape) for s in states]
    inputs += [fresh(op, "slice", r.value, None if r.shape is None else r.shape[1:]) for r in reads]
    graph.inputs.extend(inputs)
    given = [*map(inner.tensor, inputs), *(inner.tensor(w.value) for w in whole)]
    after, written = step(*given)
    for state, like in zip(after, states, strict=True):
        inner.typed(_output(inner, state), like.dtype, like.shape)
    for piece in written:
        _output(inner, piece)
    steps: Dim = next((r.shape[0] for r in reads if r.shape), None)
    count, ways = len(reads), [int(backwards)]
    results = op.many(
        "Scan", len(graph.outputs), *states, *reads, body=graph, num_scan_inputs=count,
        scan_input_directions=ways * count, scan_output_directions=ways * len(written) or None,
    )  # fmt: skip
    shapes = [s.shape for s in states]
    shapes += [None if w.shape is None else (steps, *w.shape) for w in written]
    typed = [
        op.typed(result.value, like.dtype, shape)
        for result, like, shape in zip(results, [*states, *written], shapes, strict=True)
    ]
    return typed[: len(states)], typed[len(states) :]


def _output(op: Builder, result: Tensor) -> ir.Value:
    """Add an output to the body; each must be another value that a node of the body computes."""
    value, node = result.value, result.value.producer()
    if node is None or node.graph is not op.graph or value in op.graph.outputs:
        value = renamed(op, op.graph, value)
    op.graph.outputs.append(value)
    return value
