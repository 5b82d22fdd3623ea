"""The nodes that unpack a tensor: standard operators on constants, which runtimes fold at load.

Chosen by measurement with ONNX Runtime 1.32 (`docs/decisions/0015-packing.md`): NonZero and
Compress are not folded, Gather takes ten times as long as GatherElements, and bit planes are
unpacked twice as fast as the bits of one byte after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx_ir as ir

from onnxpress.data.batch import Array
from onnxpress.packing.layouts import FOUR_BITS, Layout, fill_of, pack_values, pack_where
from onnxpress.packing.positions import BITS, SKIP

POWERS: Final = (1 << np.arange(8)).astype(np.uint8).reshape(8, 1)
"""What bit planes are masked with: one bit a row."""

_LARGEST_INT32: Final = (1 << 31) - 1
OLDEST_OPSET: Final = 18  # BitwiseAnd

_WIDE: Final = {ir.DataType.INT4: ir.DataType.INT8, ir.DataType.UINT4: ir.DataType.UINT8}


@dataclass
class Scope:
    """The graph that decoders are written for: its names, and the constants they share.

    Attributes:
        name: Gives a name that no value has yet.
        constants: The shared constants made so far, by their elements.
    """

    name: Callable[[], str]
    constants: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = field(default_factory=dict)

    def shared(self, array: Array) -> ir.Value:
        """Return a constant that all decoders of a graph may read."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = stored(self.name(), ir.Tensor(array))
        return self.constants[key]


@dataclass
class Decoder:
    """Nodes that compute one tensor from stored parts.

    Attributes:
        output: What they compute.
        nodes: The nodes, in an order that runs.
        own: The constants that nobody else reads: positions, values, sizes.
    """

    scope: Scope
    output: ir.Value
    nodes: list[ir.Node] = field(default_factory=list)
    own: list[ir.Value] = field(default_factory=list)

    def add(
        self, op_type: str, *inputs: ir.Value, into: ir.Value | None = None, **attributes: Any
    ) -> ir.Value:
        """Add a node, and return its output: `into`, or a new value."""
        output = into or ir.Value(name=self.scope.name())
        # A name that is empty takes no bytes; of None, the graph would make one.
        node = ir.node(op_type, inputs, attributes, outputs=[output], name="")
        self.nodes.append(node)
        return output

    def constant(self, tensor: ir.TensorProtocol) -> ir.Value:
        """Add a constant of this decoder alone."""
        value = stored(self.scope.name(), tensor)
        self.own.append(value)
        return value

    def finish(self, flat: ir.Value, layout: Layout) -> None:
        """Give the elements their shape, and four-bit integers their type."""
        shape = self.constant(_integers(*layout.shape))
        if layout.dtype in FOUR_BITS:  # Reshape does not know them
            wide = self.add("Reshape", flat, shape)
            self.add("Cast", wide, into=self.output, to=layout.dtype)
        else:
            self.add("Reshape", flat, shape, into=self.output)


def stored(name: str, tensor: ir.TensorProtocol) -> ir.Value:
    """Return a value with a tensor, to be registered as an initializer."""
    kind = ir.TensorType(tensor.dtype)
    return ir.Value(name=name, shape=ir.Shape(tensor.shape.numpy()), type=kind, const_value=tensor)


def decoder(layout: Layout, array: Callable[[], Array], name: str, scope: Scope) -> Decoder:
    """Return the nodes that unpack a tensor called `name`.

    Args:
        layout: How it is packed.
        array: Gives its elements; called again whenever bytes of the parts are wanted, so
            that no part has to be in memory before.
        name: The name of the tensor.
        scope: The graph that the nodes will be in.
    """
    made = Decoder(scope, ir.Value(name=name))
    where = made.constant(
        _lazy(lambda: pack_where(array(), layout), layout.where_type, layout.where_shape)
    )
    values = made.constant(
        _lazy(lambda: pack_values(array(), layout), layout.dtype, layout.values_shape)
    )
    if layout.dtype in FOUR_BITS:  # few operators know them
        values = made.add("Cast", values, to=working_type(layout.dtype))
    if layout.kind == "mask":
        made.finish(_from_mask(made, layout, where, values), layout)
    else:
        made.finish(_from_gaps(made, layout, where, values, fill_of(array())), layout)
    return made


def working_type(dtype: ir.DataType) -> ir.DataType:
    """Return the type in which elements are put into place: four bits become eight."""
    return _WIDE.get(dtype, dtype)


def _from_mask(made: Decoder, layout: Layout, planes: ir.Value, values: ir.Value) -> ir.Value:
    """Every block takes the value of its number among the kept ones, all others number 0."""
    shared = made.scope.shared
    bits = made.add("BitwiseAnd", planes, shared(POWERS))
    bits = made.add("Reshape", bits, shared(np.array([-1])))
    if layout.blocks % BITS:
        end = made.constant(_integers(layout.blocks))
        bits = made.add("Slice", bits, shared(np.array([0])), end)
    index = ir.DataType.INT32 if layout.blocks <= _LARGEST_INT32 else ir.DataType.INT64
    kept = made.add("Cast", made.add("Cast", bits, to=ir.DataType.BOOL), to=index)
    number = made.add("CumSum", kept, shared(np.array(0)))
    number = made.add("Mul", number, kept)
    return made.add("GatherElements" if layout.block == 1 else "Gather", values, number)


def _from_gaps(
    made: Decoder, layout: Layout, gaps: ir.Value, values: ir.Value, fill: Array
) -> ir.Value:
    """Put the stored blocks where they belong, into a tensor full of the fill."""
    steps = made.add("Cast", gaps, to=ir.DataType.INT64)
    column: tuple[int, ...] = ()
    if layout.kind == "skips":
        steps, values = _without_skips(made, steps, values)
        column = (1,)  # the values now come in the shape of the positions
    positions = made.add("CumSum", steps, made.scope.shared(np.array(0)))
    size = made.constant(_integers(layout.blocks, *column, *layout.values_shape[1:]))
    return made.add("ScatterND", _full(made, layout, size, fill), positions, values)


def _full(made: Decoder, layout: Layout, size: ir.Value, fill: Array) -> ir.Value:
    """Return a tensor of nothing but the fill."""
    wide = working_type(layout.dtype)
    if wide == ir.DataType.FLOAT:  # of which it gives zeros by itself
        return made.add("ConstantOfShape", size)
    value = ir.Tensor(fill.astype(wide.numpy()), wide)
    return made.add("ConstantOfShape", size, value=value)


def _without_skips(made: Decoder, codes: ir.Value, values: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Return how far each code goes on, and the value that it puts there: of a skip the fill."""
    shared = made.scope.shared
    steps = made.add("Min", codes, shared(np.array(SKIP - 1)))
    skipped = made.add("Sub", codes, steps)  # 1 for a skip, 0 for an element
    kept = made.add("Sub", shared(np.array(1)), skipped)
    number = made.add("CumSum", kept, shared(np.array(0)))
    return steps, made.add("Gather", values, made.add("Mul", number, kept))


def _integers(*numbers: int) -> ir.TensorProtocol:
    return ir.Tensor(np.array(numbers, np.int64))


def _lazy(give: Callable[[], Array], dtype: ir.DataType, shape: Iterable[int]) -> ir.LazyTensor:
    return ir.LazyTensor(
        lambda: ir.Tensor(np.ascontiguousarray(give()), dtype=dtype),
        dtype=dtype,
        shape=ir.Shape(tuple(shape)),
    )
