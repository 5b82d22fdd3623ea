"""The editor: the one place where a graph changes, on a copy that is the editor's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from onnxpress.errors import ModelError
from onnxpress.graph.history import KEPT_OPSET
from onnxpress.graph.layers import Layer, find_layers
from onnxpress.graph.names import values_by_name, values_in
from onnxpress.graph.upgrade import WORKING_OPSET
from onnxpress.graph.weights import Weight

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model


class Editor:
    """Changes a copy of a model; `done` returns the result as a new `Model`.

    Attributes:
        ir: The copy.  Its nodes and values are not those of the model it came from:
            look them up here, by name or through `layers`.

    Raises:
        ModelError: If the model could not be brought to the working opset; says why.
    """

    def __init__(self, model: Model) -> None:
        kept = model.provenance.source.get(KEPT_OPSET)
        if kept and model.opset < WORKING_OPSET:
            raise ModelError(f"the model can't be changed: it had to stay at its opset, as {kept}")
        self.ir = model.ir.clone()
        self._path = model.path
        self._original = model.ir
        self._at_first = list(values_in(self.ir))

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
        return values_by_name(self.ir)

    def freeze(self) -> None:
        """Drop the inputs that only override stored weights; those are constants from now on.

        Old exporters list every initializer as an input.  Call it before `layers`.
        """
        for value in [value for value in self.graph.inputs if value.is_initializer()]:
            self.graph.inputs.remove(value)

    def set_weight(self, weight: Weight, array: Array) -> None:
        """Give a stored tensor other bytes; every reader of it sees them.

        Args:
            weight: A weight of a layer of this editor, or of the model it came from.
            array: The new elements; shape and type may differ from the old ones.
        """
        self.set_tensor(weight.value, ir.Tensor(array, name=weight.name))

    def set_tensor(self, value: ir.Value, tensor: ir.TensorProtocol) -> None:
        """Give an initializer or a Constant, of the copy or of the original, another tensor."""
        value = self.copy_of(value)
        producer = value.producer()
        if producer is None:
            value.const_value = tensor
        else:
            producer.attributes.clear()
            producer.attributes.add(ir.AttrTensor("value", tensor))
        value.shape, value.type = ir.Shape(tensor.shape.numpy()), ir.TensorType(tensor.dtype)

    def copy_of(self, value: ir.Value) -> ir.Value:
        """Return the value of the copy that stands for one of the original."""
        return self._copies.get(value, value)

    @cached_property
    def _copies(self) -> dict[ir.Value, ir.Value]:
        """Which value of the copy stands for which of the original."""
        return dict(zip(values_in(self._original), self._at_first, strict=True))

    def constant(self, array: Array | ir.TensorProtocol, name: str) -> ir.Value:
        """Add an initializer to the main graph and return its value.

        Args:
            array: The bytes, or a tensor of a type that numpy does not know.
            name: The name wished for; a number is added where it is taken.
        """
        unique = self.unique(name)
        # Asking whether something is an `ir.TensorProtocol` takes longer than all the rest.
        own = isinstance(array, np.ndarray | np.generic)
        tensor: ir.TensorProtocol = ir.Tensor(array, name=unique) if own else array  # type: ignore[assignment]
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
        return Model(self.ir, self._path, edited=True)


def frozen(model: Model) -> Model:
    """Return a model without the inputs that only override stored weights; see `Editor.freeze`."""
    edit = Editor(model)
    edit.freeze()
    return edit.done()
