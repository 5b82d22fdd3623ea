"""Loop: the way back is a Loop too, over the iterations that were run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.bodies import Body
from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.iterating import Source, State, Steps, Stream, give_out
from onnxpress.autodiff.rewinding import Rewind
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@GRADIENTS("Loop")
def _loop(at: Site) -> Gradients:
    """How many iterations were run is how many numbers of iterations the node gave out.

    Not a Scan, because ONNX Runtime runs no Scan over nothing, and a Loop may run not at all.
    """
    steps = _steps(at)
    rewind = Rewind(at, steps)
    if not rewind.begun:
        return None
    sources = rewind.sources()
    (number,) = steps.remembered
    count = steps.remember(number).size(0).squeeze(0)
    _complete(rewind, sources, count)
    begin = rewind.begin()
    results = at.op.many("Loop", len(begin), count, None, *begin, body=rewind.body.graph)
    return rewind.gradients(results)


def _steps(at: Site) -> Steps:
    body = at.node.attributes["body"].as_graph()
    number, going, *befores = body.inputs
    states = len(befores)
    return Steps(
        body,
        states=[State(v, body.outputs[1 + i], 2 + i, i) for i, v in enumerate(befores)],
        reads=(),
        writes=[Stream(v, i) for i, v in enumerate(body.outputs[1 + states :], states)],
        remember=partial(give_out, at, ahead=1),
        remembered=(number,),
        # An iteration that was run is one that was to go on.
        known={going: _true(at.op).value},
    )


def _complete(rewind: Rewind, sources: Sequence[Source], count: Tensor) -> None:
    """Add the inputs and outputs that a Loop has, and take the slices of the sources."""
    body, op = rewind.body, rewind.body.op
    number = ir.Value(name=op.name("step"), type=ir.TensorType(ir.DataType.INT64))
    going = ir.Value(name=op.name("going"), type=ir.TensorType(ir.DataType.BOOL))
    for scalar in (number, going):
        scalar.shape = ir.Shape([])
    step = body.input(number)
    for value in (going, *rewind.begun):
        body.input(value)
    index = op.tensor(count.value) - 1 - step
    for source in sources:
        _take(body, source, index)
    body.output(_true(op), op.tensor(going))
    outputs = body.graph.outputs
    outputs.insert(0, outputs.pop())
    body.graph.sort()


def _take(body: Body, source: Source, index: Tensor) -> None:
    slices = body.op("Gather", body.op.tensor(source.outer.value), index, axis=source.axis)
    known = body.op.tensor(source.inner)
    taken = body.op.typed(slices.value, known.dtype, known.shape)
    source.inner.replace_all_uses_with(taken.value)


def _true(op: Builder) -> Tensor:
    return op.constant(np.ones((), np.bool_))
