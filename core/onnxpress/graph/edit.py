"""The editor: the one place where a graph changes, on a copy that is the editor's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from onnxpress.graph.layers import Layer, find_layers
from onnxpress.graph.weights import Weight

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model


class Editor:
    """Changes a copy of a model; `done` returns the result as a new `Model`.

    Attributes:
        ir: The copy.  Its nodes and values are not those of the model it came from:
            look them up here, by name or through `layers`.
    """

    def __init__(self, model: Model) -> None:
        self.ir = model.ir.clone()
        self._path = model.path
        self._opset = model.opset

    @property
    def graph(self) -> ir.Graph:
        """The main graph of the copy."""
        return self.ir.graph

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of the copy as it was when first asked for."""
        return find_layers(self.ir)

    @cached_property
    def values(self) -> dict[str, ir.Value]:
        """Every value of the copy by name, subgraphs included; kept true by the methods here."""
        found: dict[str, ir.Value] = {}
        for graph in self.ir.graphs():
            for value in (*graph.inputs, *graph.initializers.values()):
                found[value.name or ""] = value
            for node in graph:
                found.update((v.name or "", v) for v in node.outputs)
        return found

    def set_weight(self, weight: Weight, array: Array) -> None:
        """Give a stored tensor other bytes; every reader of it sees them."""
        tensor = ir.Tensor(array, name=weight.name)
        producer = weight.value.producer()
        if producer is None:
            weight.value.const_value = tensor
            weight.value.shape, weight.value.type = tensor.shape, ir.TensorType(tensor.dtype)
        else:
            producer.attributes.clear()
            producer.attributes.add(ir.AttrTensor("value", tensor))

    def constant(self, array: Array | ir.TensorProtocol, name: str) -> ir.Value:
        """Add an initializer to the main graph and return its value.

        Args:
            array: The bytes, or a tensor of a type that numpy does not know.
            name: The name wished for; a number is added where it is taken.
        """
        unique = self.unique(name)
        tensor = array if isinstance(array, ir.TensorProtocol) else ir.Tensor(array, name=unique)
        value = ir.Value(
            name=unique,
            shape=ir.Shape(tensor.shape.numpy()),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        self.graph.register_initializer(value)
        self.values[unique] = value
        return value

    def node(
        self,
        op_type: str,
        inputs: Iterable[ir.Value | None],
        name: str,
        attributes: Mapping[str, Any] | None = None,
        domain: str = "",
    ) -> ir.Node:
        """Make a node with one output called `name` (made unique); put it in place yourself."""
        unique = self.unique(name)
        output = ir.Value(name=unique)
        self.values[unique] = output
        return ir.node(
            op_type, list(inputs), attributes or {}, domain=domain, outputs=[output], name=unique
        )

    def unique(self, name: str) -> str:
        """Return `name`, or `name` with a number, that no value has yet."""
        if name not in self.values:
            return name
        number = self._numbers.get(name, 0) + 1
        while f"{name}_{number}" in self.values:
            number += 1
        self._numbers[name] = number
        return f"{name}_{number}"

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {}

    def done(self) -> Model:
        """Drop what nobody reads any more, and return the result."""
        from onnxpress.graph.model import Model

        RemoveUnusedNodesPass()(self.ir)
        return Model(self.ir, self._path)
