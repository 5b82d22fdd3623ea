"""Static quantization from end to end: prepare, plan, calibrate, write, report."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

import onnx_ir as ir

from onnxpress.errors import ModelError, UnknownNameError
from onnxpress.graph.layers import find_layers
from onnxpress.graph.model import Model
from onnxpress.select import select
from onnxpress_quantization.grid import Grid
from onnxpress_quantization.grids import Grids, calibrated, existing_grid
from onnxpress_quantization.kernels import KERNELS
from onnxpress_quantization.plan import Plan, make_plan
from onnxpress_quantization.prepare import prepare
from onnxpress_quantization.reasons import left_in_float, obstacle
from onnxpress_quantization.steps import Step, find_steps
from onnxpress_quantization.weights import Constants
from onnxpress_quantization.write import Writer

if TYPE_CHECKING:
    from onnxpress.graph.edit import Editor
    from onnxpress.graph.layers import Layer
    from onnxpress.job import Job
    from onnxpress_quantization.linear import LinearQuantization

_OPSET: Final = 13  # the first in which DequantizeLinear takes one scale per channel


def quantize(model: Model, options: LinearQuantization, job: Job) -> Model:
    """Do what `LinearQuantization` says.

    Raises:
        ModelError: If the model's opset is too old.
        UnknownNameError: If no layer has a name or an operator that the options ask for.
        UsageError: If there is something to quantize and the job has no data.
    """
    if model.opset < _OPSET:
        raise ModelError(
            f"the model uses opset {model.opset}, and quantizers need {_OPSET}; "
            "load it with onnxpress.load, which brings it to a newer one"
        )
    if options.freeze:
        model = _frozen(model)
    edit = model.edit()
    names = _chosen(edit, options)
    folded = prepare(edit)
    layers = {layer.node: layer for layer in find_layers(edit.ir) if _is_named(layer, names)}
    obstacles = {node: obstacle(layer, edit.graph) for node, layer in layers.items()}
    free = {node: layer for node, layer in layers.items() if obstacles[node] is None}
    candidates, refused = find_steps(edit.graph, free, KERNELS + job.rules)
    # Calibration looks at the graph as it is now, and lets go of it before it is written to.
    now = Model(edit.ir, model.path)
    plan, grids = calibrated(now, make_plan(edit.graph, candidates), options, job)
    for name, reason in left_in_float(edit.graph, plan, layers, refused, obstacles):
        job.decline(name, reason)
    if not plan.steps:
        return model
    for node, details in _write(edit, plan, grids, options).items():
        name = layers[node].name
        job.change(name, **details, **({"folded": folded[name]} if name in folded else {}))
    return edit.done()


def _frozen(model: Model) -> Model:
    edit = model.edit()
    edit.freeze()
    return edit.done()


def _chosen(edit: Editor, options: LinearQuantization) -> set[str]:
    """Return what the layers that the user means will be known by in the prepared graph."""
    chosen = select(edit.layers, options.layers, options.exclude)
    known = {layer.op_type for layer in edit.layers}
    for op_type in options.op_types:
        if op_type not in known:
            raise UnknownNameError("layer of type", op_type, known)
    types = set(options.op_types) or known
    # Inlining changes the names of layers, but not those of stored tensors.
    return {
        layer.weight.name if layer.calls else layer.name
        for layer in chosen
        if layer.op_type in types
    }


def _is_named(layer: Layer, names: Collection[str]) -> bool:
    return layer.name in names or layer.weight.name in names


def _write(
    edit: Editor, plan: Plan, grids: Grids, options: LinearQuantization
) -> dict[ir.Node, dict[str, Any]]:
    """Change the graph; return what to report of every kernel that has a weight."""
    writer = Writer(edit)
    constants = Constants(writer, options.granularity, options.activations)
    details: dict[ir.Node, dict[str, Any]] = {}
    for step in plan.steps:
        constants.quantize_operands(step)
        if step.kernel.fill is not None:
            writer.fill(step.node, step.kernel.fill, grids[step.inputs[0]])
        if step.kernel.weight is not None:
            grid = grids[step.inputs[0]]
            details[step.node] = {
                "weight": options.weights,
                **constants.quantize(step, grid),
                "input": options.activations,
                "input_scale": grid.scale,
                "input_zero_point": grid.zero_point,
            }
    reading = {(step.node, index): step for step in plan.steps for index in step.inputs}
    for value, grid in grids.items():
        _quantize_tensor(writer, value, grid, plan.makers.get(value), reading)
    return details


def _quantize_tensor(
    writer: Writer,
    value: ir.Value,
    grid: Grid,
    maker: Step | None,
    reading: Mapping[tuple[ir.Node, int], Step],
) -> None:
    if existing_grid(value) is not None:
        return
    as_floats, as_integers = [], []
    for node, index in value.uses():
        use = (node, index)
        reader = reading.get(use)
        if reader is not None and reader.kernel.on_integers:
            as_integers.append(use)
        elif reader is not None or maker is not None:
            as_floats.append(use)
    if maker is not None and maker.kernel.on_integers:
        writer.dequantize(value, grid, as_floats)
    else:
        writer.quantize(value, grid, as_floats, as_integers, whole=maker is not None)
