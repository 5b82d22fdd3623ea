"""Scan: the way back is a Scan too, over the same slices in the opposite order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import onnx_ir as ir

from onnxpress.autodiff.iterating import State, Steps, Stream, give_out
from onnxpress.autodiff.rewinding import Rewind
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients


@GRADIENTS("Scan")
def _scan(at: Site) -> Gradients:
    """What was written last is read first, and what was read last is written first."""
    rewind = Rewind(at, _steps(at))
    sources, reads = rewind.sources(any_at_all=True), rewind.reads
    graph = rewind.body.graph
    graph.inputs.extend((*rewind.begun, *(source.inner for source in sources)))
    if not graph.outputs:
        return None
    results = at.op.many(
        "Scan",
        len(graph.outputs),
        *rewind.begin(),
        *(source.outer for source in sources),
        body=graph,
        num_scan_inputs=len(sources),
        scan_input_axes=[source.axis for source in sources],
        scan_input_directions=[int(source.backwards) for source in sources],
        scan_output_axes=[read.axis for read in reads] or None,
        scan_output_directions=[int(not read.backwards) for read in reads] or None,
    )
    return rewind.gradients(results)


def _steps(at: Site) -> Steps:
    body = at.node.attributes["body"].as_graph()
    states = len(body.inputs) - at.integer("num_scan_inputs")
    return Steps(
        body,
        states=[State(v, body.outputs[i], i, i) for i, v in enumerate(body.inputs[:states])],
        reads=_streams(at, "input", body.inputs[states:], states),
        writes=_streams(at, "output", body.outputs[states:], states),
        remember=partial(give_out, at),
    )


def _streams(at: Site, side: str, values: Sequence[ir.Value], first: int) -> list[Stream]:
    count = len(values)
    axes = at.ints(f"scan_{side}_axes") or (0,) * count
    backwards = at.ints(f"scan_{side}_directions") or (0,) * count
    return [Stream(value, first + i, axes[i], bool(backwards[i])) for i, value in enumerate(values)]
