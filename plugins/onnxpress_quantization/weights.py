"""Integers for what a layer has stored: its weight, its bias, other constants it reads."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx_ir as ir

from onnxpress.calibration import Range
from onnxpress.data.batch import Array
from onnxpress.graph.fold import effective_array
from onnxpress.graph.weights import Weight, find_weight
from onnxpress_quantization.grid import (
    Grid,
    IntegerType,
    covering,
    quantize_bias,
    quantize_weight,
    weight_scales,
    widened_for_bias,
)
from onnxpress_quantization.steps import Step
from onnxpress_quantization.write import Writer

_PER_TENSOR: Final = "per-tensor"


class Constants:
    """Stores constants as integers; one that several kernels read alike is stored once.

    Args:
        writer: Puts them into the graph.
        granularity: ``per-channel`` or ``per-tensor``, for weights.
        dtype: The integer type of constants that stand for activations.
    """

    def __init__(self, writer: Writer, granularity: str, dtype: IntegerType) -> None:
        self._writer, self._granularity, self._dtype = writer, granularity, dtype
        self._stored: dict[tuple[ir.Value | None, int | None, bytes], ir.Value] = {}

    def quantize(self, step: Step, grid: Grid) -> dict[str, Any]:
        """Store the weight and the bias of a kernel as integers.

        Args:
            step: A kernel that has a weight.
            grid: The grid of the activation that it multiplies.

        Returns:
            What to report of it.
        """
        assert step.kernel.weight is not None
        weight = _constant(step.node.inputs[step.kernel.weight])
        array = _floats(weight)
        axis = None if self._granularity == _PER_TENSOR else step.kernel.axis
        scales = weight_scales(array, axis)
        bias = self._bias(step, array.shape[step.kernel.axis or 0])
        if bias is not None:
            tight, scales = scales, widened_for_bias(scales, bias, grid.scale)
        floats = self._store(weight, array, scales, axis)
        step.node.replace_input_with(step.kernel.weight, floats)
        details = {"weight_scale": float(scales.max()), "granularity": self._granularity}
        if bias is not None:
            self._store_bias(step, bias, grid, scales)
            if coarser := int((scales > tight).sum()):
                details["widened_channels"] = coarser
        return details

    def quantize_operands(self, step: Step) -> None:
        """Store the other constants of a kernel on a grid of the activations' type."""
        for index in sorted(set(step.kernel.inputs) - set(step.inputs)):
            constant = _constant(step.node.inputs[index])
            array = _floats(constant)
            grid = covering(Range(float(array.min()), float(array.max())), self._dtype)
            integers, scale = grid.quantize(array), np.asarray(grid.scale)
            floats = self._writer.constant(constant, integers, scale, grid.zero_point, None)
            step.node.replace_input_with(index, floats)

    def _bias(self, step: Step, channels: int) -> Array | None:
        """Return the bias with one number for each channel."""
        if step.bias is None:
            return None
        node, index = step.bias
        return np.broadcast_to(_floats(_constant(node.inputs[index])).reshape(-1), channels)

    def _store(self, weight: Weight, array: Array, scales: Array, axis: int | None) -> ir.Value:
        key = (weight.used_as, axis, scales.tobytes())
        if key not in self._stored:
            integers = quantize_weight(array, scales, axis)
            self._stored[key] = self._writer.constant(weight, integers, scales, 0, axis)
        return self._stored[key]

    def _store_bias(self, step: Step, bias: Array, grid: Grid, scales: Array) -> None:
        assert step.bias is not None
        node, index = step.bias
        constant = _constant(node.inputs[index])
        integers, steps = quantize_bias(bias, grid.scale, scales)
        if node is not step.node:  # an Add, which takes its rank from the bias
            integers = integers.reshape(_floats(constant).shape)
        axis = integers.ndim - 1 if steps.ndim else None
        node.replace_input_with(index, self._writer.constant(constant, integers, steps, 0, axis))


def _constant(value: ir.Value | None) -> Weight:
    found = find_weight("weight", value, None, None)
    assert found is not None  # it was constant when the kernel was chosen
    return found


def _floats(constant: Weight) -> Array:
    array = effective_array(constant)
    assert array is not None
    return array
