"""Writing into a graph: QuantizeLinear, DequantizeLinear, and integers for constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.data.batch import Array
from onnxpress.graph.edit import Editor
from onnxpress.graph.weights import Weight
from onnxpress_quantization.grid import Grid

Use: TypeAlias = tuple[ir.Node, int]
"""Who reads a tensor: a node, and by which of its inputs."""

_USUAL_AXIS: Final = 1
"""The axis of scales where a DequantizeLinear does not say another one."""


class Writer:
    """Adds quantizers to a graph; equal scales (``s``) and zero points (``z``) are stored once.

    Args:
        edit: An editor; its graph changes in place.
    """

    def __init__(self, edit: Editor) -> None:
        self._edit = edit
        self._stored: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = {}
        self._first = next(iter(edit.graph), None)

    def quantize(
        self,
        value: ir.Value,
        grid: Grid,
        float_uses: Iterable[Use],
        integer_uses: Iterable[Use],
        *,
        whole: bool,
    ) -> None:
        """Put a pair of quantizers behind a float tensor.

        Args:
            value: The tensor.
            grid: What to round it to.
            float_uses: Who reads the rounded floats from now on.
            integer_uses: Who reads the integers themselves.
            whole: Whether the model gives the rounded tensor too, if it is an output.
        """
        down = self._node("QuantizeLinear", value, grid, f"{value.name}_q")
        up = self._node("DequantizeLinear", down.outputs[0], grid, f"{value.name}_d")
        self._place([down, up], value.producer())
        _connect(integer_uses, down.outputs[0])
        self._hand_over(value, up.outputs[0], float_uses, whole=whole)

    def dequantize(self, value: ir.Value, grid: Grid, float_uses: Iterable[Use]) -> None:
        """Put a DequantizeLinear behind a tensor that its node now makes of integers."""
        up = self._node("DequantizeLinear", value, grid, f"{value.name}_d")
        self._place([up], value.producer())
        self._hand_over(value, up.outputs[0], float_uses, whole=True)
        if value.type is not None:
            value.type = ir.TensorType(ir.DataType.from_numpy(np.dtype(grid.dtype)))

    def constant(
        self, weight: Weight, integers: Array, scales: Array, zero_point: int, axis: int | None
    ) -> ir.Value:
        """Store integers in place of a constant and return them as floats.

        They get the name of the constant if nobody else reads it.

        Args:
            weight: The constant.
            integers: The array.
            scales: float32 of shape (), or one for each index along `axis`.
            zero_point: The integer that stands for 0.
            axis: The axis that the scales belong to.
        """
        inputs = [
            self._integers(weight, integers),
            self._shared(np.asarray(scales, np.float32), "s"),
        ]
        # Weights need one, though it is 0: ONNX Runtime makes no QGemm without.
        if zero_point or integers.dtype != np.int32:
            inputs.append(self._shared(np.full(scales.shape, zero_point, integers.dtype), "z"))
        attributes = {} if axis in {None, _USUAL_AXIS} else {"axis": axis}
        node = self._nameless("DequantizeLinear", inputs, f"{weight.name}_d", attributes)
        self._place([node], None)
        return node.outputs[0]

    def _integers(self, weight: Weight, array: Array) -> ir.Value:
        value = weight.value
        own = value.is_initializer() and not weight.path and not value.is_graph_output()
        if own and len(value.uses()) == 1:
            self._edit.set_weight(weight, array)
            return value
        return self._edit.constant(array, f"{weight.name}_q")

    def fill(self, node: ir.Node, index: int, grid: Grid) -> None:
        """Make a node fill up with the integer that stands for 0."""
        if index >= len(node.inputs):
            node.resize_inputs(index + 1)
        node.replace_input_with(index, self._zero_point(grid))

    def _node(self, op_type: str, value: ir.Value, grid: Grid, name: str) -> ir.Node:
        scale = self._shared(np.asarray(grid.scale, np.float32), "s")
        return self._nameless(op_type, [value, scale, self._zero_point(grid)], name)

    def _nameless(
        self,
        op_type: str,
        inputs: Sequence[ir.Value],
        output: str,
        attributes: Mapping[str, int] | None = None,
    ) -> ir.Node:
        """Make a node without a name of its own: that of its output says enough, in fewer bytes."""
        node = self._edit.node(op_type, inputs, output, attributes)
        node.name = ""
        return node

    def _zero_point(self, grid: Grid) -> ir.Value:
        return self._shared(np.asarray(grid.zero_point, grid.dtype), "z")

    def _shared(self, array: Array, name: str) -> ir.Value:
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._stored:
            self._stored[key] = self._edit.constant(array, name)
        return self._stored[key]

    def _place(self, nodes: Sequence[ir.Node], behind: ir.Node | None) -> None:
        """Insert nodes behind another one, or in front of all."""
        if behind is not None:
            self._edit.graph.insert_after(behind, nodes)
        elif self._first is not None:
            self._edit.graph.insert_before(self._first, nodes)

    def _hand_over(
        self, value: ir.Value, floats: ir.Value, uses: Iterable[Use], *, whole: bool
    ) -> None:
        _connect(uses, floats)
        if whole and value.is_graph_output():
            self._replace_output(value, floats)

    def _replace_output(self, value: ir.Value, floats: ir.Value) -> None:
        floats.shape, floats.type = value.shape, ir.TensorType(ir.DataType.FLOAT)
        outputs = self._edit.graph.outputs
        for place, output in enumerate(outputs):
            if output is value:
                outputs[place] = floats
        name = value.name
        value.name, floats.name = self._edit.unique(f"{name}_raw"), name
        self._edit.values[value.name or ""], self._edit.values[name or ""] = value, floats


def _connect(uses: Iterable[Use], value: ir.Value) -> None:
    for node, index in uses:
        node.replace_input_with(index, value)
