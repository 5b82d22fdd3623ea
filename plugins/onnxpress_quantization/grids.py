"""Grids for the tensors of a plan, from ranges measured on data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import onnx_ir as ir

from onnxpress.calibration import Method, MinMax, Percentile, Range, calibrate
from onnxpress.graph.constants import STANDARD, stored_tensor
from onnxpress_quantization.grid import Grid, IntegerType, covering
from onnxpress_quantization.plan import Plan, plan_of

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress_quantization.linear import LinearQuantization

Grids = Mapping[ir.Value, Grid]


def calibrated(
    model: Model, plan: Plan, options: LinearQuantization, job: Job
) -> tuple[Plan, Grids]:
    """Measure ranges and return the plan, without kernels that data never reached, and its grids.

    Args:
        model: The model as it was before anything was written into it.
        plan: The plan; its tensors have the names that they have in `model`.
        options: Which method, and which type of integers.
        job: Gives the data.
    """
    names = [value.name or "" for value in dict.fromkeys(plan.origin.values())]
    if not names:
        return plan, {}
    data = job.require_data(options.name)
    ranges = calibrate(model, names, data, _method(options), job)
    return _reached(plan, ranges, options.activations)


def existing_grid(value: ir.Value) -> Grid | None:
    """Return the grid that a tensor is on already, because a DequantizeLinear gives it."""
    node = value.producer()
    if node is None or node.op_type != "DequantizeLinear" or node.domain not in STANDARD:
        return None
    scale, zero = (stored_tensor(v) for v in (*node.inputs, None)[1:3])
    if scale is None or zero is None or scale.size != 1 or zero.dtype not in _INTEGERS:
        return None
    return Grid(float(scale.numpy().item()), int(zero.numpy().item()), _INTEGERS[zero.dtype])


_INTEGERS: Mapping[ir.DataType, IntegerType] = {
    ir.DataType.UINT8: "uint8",
    ir.DataType.INT8: "int8",
}


def _method(options: LinearQuantization) -> Method:
    return Percentile(options.percentile) if options.calibration == "percentile" else MinMax()


def _reached(plan: Plan, ranges: Mapping[str, Range], dtype: IntegerType) -> tuple[Plan, Grids]:
    while True:
        grids = _grids(plan, ranges, dtype)
        steps = [
            step
            for step in plan.steps
            if all(value in grids for value in step.inputs.values())
            and all(value in grids for value in step.outputs if value in plan.origin)
        ]
        if len(steps) == len(plan.steps):
            return plan, grids
        plan = plan_of(steps)


def _grids(plan: Plan, ranges: Mapping[str, Range], dtype: IntegerType) -> dict[ir.Value, Grid]:
    grids: dict[ir.Value, Grid] = {}
    for value, origin in plan.origin.items():
        if origin is not value:
            if origin in grids:
                grids[value] = grids[origin]
        elif (grid := existing_grid(value)) is not None:
            grids[value] = grid
        elif (span := ranges.get(value.name or "")) is not None:
            maker = plan.makers.get(value)
            grids[value] = covering(span, dtype, maker.bounds if maker else None)
    return grids
