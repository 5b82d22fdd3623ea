"""Cutting: a copy of a graph without some positions on some axes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from onnxpress.channels.labels import Flags, Ids
from onnxpress.graph.constants import FLOATS, constant_tensor, is_constant

if TYPE_CHECKING:
    from onnxpress.channels.flow import Flow
    from onnxpress.channels.site import Key, Port
    from onnxpress.data.batch import Array
    from onnxpress.graph.edit import Editor
    from onnxpress.graph.model import Model

_STATISTICS = (3, 4)  # the inputs of BatchNormalization that hold no weights


class Cut:
    """One cut, and what fixes of rules may ask of it and do to the copy.

    Args:
        model: The model that the flow was found in; it stays as it is.
        flow: How its channels flow.
        classes: The class of every number of a position.
        gone: For every class whether it goes.
    """

    def __init__(self, model: Model, flow: Flow, classes: Ids, gone: Flags) -> None:
        self.edit: Editor = model.edit()
        self._flow = flow
        self._classes = classes
        self._gone = gone
        self._removed = gone[classes]
        self._nodes = dict(
            zip(model.ir.graph.all_nodes(), self.edit.graph.all_nodes(), strict=True)
        )

    def run(self) -> Model:
        """Do it."""
        for value in self._stored:
            self._slice(value)
        for fix in self._flow.fixes:
            fix(self)
        self._tell_shapes()
        return self.edit.done()

    # What fixes ask.

    def kept(self, port: Port, axis: int) -> Flags:
        """Return which positions on an axis stay."""
        ids = self._flow.axes.get((port.key, axis))
        if ids is None:
            return np.ones(port.sizes[axis] or 0, np.bool_)
        return ~self._removed[ids]

    def left(self, port: Port, axis: int) -> int:
        """Return how many positions on an axis stay."""
        return int(np.count_nonzero(self.kept(port, axis)))

    def changes(self, port: Port | None, *axes: int) -> bool:
        """Say whether anything goes of some axes, or of any if none is named."""
        if port is None:
            return False
        return any(not self.kept(port, i).all() for i in axes or range(port.rank))

    def dead(self, port: Port, axis: int) -> bool:
        """Say whether what goes of an axis is zero in all stored slices: no loss at all."""
        ids = self._flow.axes.get((port.key, axis))
        return ids is not None and not self._alive[ids[self._removed[ids]]].any()

    # What fixes do.

    def node(self, node: ir.Node) -> ir.Node:
        """Return the copy of a node."""
        return self._nodes[node]

    def set_integer(self, node: ir.Node, name: str, number: int) -> None:
        """Give the copy of a node another attribute."""
        self.node(node).attributes[name] = ir.AttrInt64(name, number)

    def set_integers(self, node: ir.Node, name: str, numbers: list[int]) -> None:
        """Give the copy of a node another attribute that is a list."""
        self.node(node).attributes[name] = ir.AttrInt64s(name, numbers)

    def set_input(self, node: ir.Node, index: int, array: Array) -> None:
        """Give the copy of a node another constant, for itself alone."""
        copy = self.node(node)
        old = copy.inputs[index] if index < len(copy.inputs) else None
        name = f"{copy.outputs[0].name}_cut" if old is None or not old.name else old.name
        if index >= len(copy.inputs):
            copy.resize_inputs(index + 1)
        copy.replace_input_with(index, self.edit.constant(array, name))

    def insert_before(
        self, node: ir.Node, op_type: str, inputs: list[Any], attributes: Mapping[str, Any]
    ) -> ir.Value:
        """Put a new node before the copy of another, and return its output.

        Args:
            node: The node of the model.
            op_type: The operator.
            inputs: Values of the copy, or arrays.
            attributes: Its attributes.
        """
        copy = self.node(node)
        name = f"{copy.outputs[0].name}_{op_type.lower()}"
        values = [self.edit.constant(i, name) if isinstance(i, np.ndarray) else i for i in inputs]
        made = self.edit.node(op_type, values, name, attributes)
        self.edit.graph.insert_before(copy, made)
        return made.outputs[0]

    def insert_after(
        self, node: ir.Node, op_type: str, others: list[Any], attributes: Mapping[str, Any]
    ) -> None:
        """Let everything that reads the copy of a node read it through a new node.

        The new node's result takes the name.

        Args:
            node: The node of the model.
            op_type: The operator of the new node; its first input is the old result.
            others: Its other inputs: values of the copy, or arrays.
            attributes: Its attributes.
        """
        copy = self.node(node)
        old = copy.outputs[0]
        uses, is_output = list(old.uses()), old.is_graph_output()
        name = old.name or ""
        old.name = self.edit.unique(f"{name}_whole")
        values = [self.edit.constant(i, name) if isinstance(i, np.ndarray) else i for i in others]
        made = self.edit.node(op_type, [old, *values], f"{name}_{op_type.lower()}", attributes)
        self.edit.graph.insert_after(copy, made)
        new = made.outputs[0]
        new.name, new.type, new.shape = name, old.type, old.shape
        old.shape = None  # `_tell_shapes` corrects that of the new one alone
        for user, index in uses:
            user.replace_input_with(index, new)
        if is_output:
            for i, value in enumerate(self.edit.graph.outputs):
                if value is old:
                    self.edit.graph.outputs[i] = new
        self.edit.values[old.name], self.edit.values[name] = old, new

    def resize(self, node: ir.Node, index: int, port: Port) -> None:
        """Write the sizes that changed into the vector by which a node is told a shape.

        Args:
            node: The node.
            index: The input that holds the shape.
            port: The tensor of that shape, with an element of the vector for each axis.
        """
        changed = {
            i: -1 if port.sizes[i] is None else self.left(port, i)
            for i in range(port.rank)
            if self.changes(port, i)
        }
        if not changed:
            return
        array = self._flow.known.array(node.inputs[index])
        if array is not None:
            self.set_input(node, index, _with(array, changed))
            return
        vector = self.node(node).inputs[index]
        parts: list[Any] = []
        for i in range(port.rank):
            if i in changed:
                parts.append(np.array([changed[i]], np.int64))
            else:
                bounds = [np.array([n], np.int64) for n in (i, i + 1)]
                parts.append(self.insert_before(node, "Slice", [vector, *bounds], {}))
        joined = self.insert_before(node, "Concat", parts, {"axis": 0})
        self.node(node).replace_input_with(index, joined)

    # Stored tensors.

    @cached_property
    def _stored(self) -> dict[ir.Value, dict[Key, dict[int, Flags]]]:
        """Return for stored tensors that lose something what stays, for each use of its own."""
        found: dict[ir.Value, dict[Key, dict[int, Flags]]] = {}
        for (key, axis), ids in self._flow.axes.items():
            port = self._flow.ports.get(key)
            if port is not None and is_constant(port.value):
                kept = ~self._removed[ids]
                if not kept.all():
                    found.setdefault(port.value, {}).setdefault(key, {})[axis] = kept
        return found

    def _slice(self, value: ir.Value) -> None:
        tensor = constant_tensor(value)
        assert tensor is not None
        array = np.asarray(tensor.numpy())
        uses = self._stored[value]
        made: dict[bytes, ir.Value] = {}
        for key, axes in uses.items():
            smaller = array
            for axis, kept in axes.items():
                smaller = np.compress(kept, smaller, axis)
            if not isinstance(key, tuple) or self._same_everywhere(value, uses):
                self.edit.set_tensor(value, _tensor(smaller, tensor.dtype, value.name))
                return
            mark = b"".join(kept.tobytes() for kept in axes.values())
            if mark not in made:
                made[mark] = self.edit.constant(_tensor(smaller, tensor.dtype), value.name or "")
            self.node(key[1]).replace_input_with(key[2], made[mark])

    def _same_everywhere(self, value: ir.Value, uses: Mapping[Key, Mapping[int, Flags]]) -> bool:
        if len(uses) < len(value.uses()):
            return False
        marks = {tuple((i, k.tobytes()) for i, k in axes.items()) for axes in uses.values()}
        return len(marks) == 1

    @cached_property
    def _alive(self) -> Flags:
        """Say for every number whether a slice of a stored weight there is not all zero."""
        alive = np.zeros(self._removed.size, np.bool_)
        for (key, axis), ids in self._flow.axes.items():
            port = self._flow.ports.get(key)
            gone = self._removed[ids]
            if port is None or not gone.any() or _is_statistic(port):
                continue
            tensor = constant_tensor(port.value)
            if tensor is not None and tensor.dtype in FLOATS:
                rows = np.compress(gone, np.asarray(tensor.numpy()), axis)
                other = tuple(i for i in range(rows.ndim) if i != axis)
                alive[ids[gone]] |= (rows != 0).any(axis=other)
        # A number is as alive as those of its class, which are cut with it.
        in_class = np.zeros(self._gone.size, np.bool_)
        np.logical_or.at(in_class, self._classes, alive)
        return in_class[self._classes]

    # Shapes.

    def _tell_shapes(self) -> None:
        """Correct the shapes that the graph itself notes."""
        for (key, axis), ids in self._flow.axes.items():
            port = self._flow.ports.get(key)
            if port is None or is_constant(port.value) or not self._removed[ids].any():
                continue
            copy = self.edit.values.get(port.value.name or "")
            if copy is not None and copy.shape is not None:
                dims: list[Any] = list(copy.shape)
                dims[axis] = None if port.sizes[axis] is None else self.left(port, axis)
                copy.shape = ir.Shape(dims)


def _with(array: Array, changed: Mapping[int, int]) -> Array:
    new = np.array(array, np.int64)
    for index, size in changed.items():
        new[index] = size
    return new


def _tensor(array: Array, dtype: ir.DataType, name: str | None = None) -> ir.TensorProtocol:
    return ir.Tensor(np.ascontiguousarray(array), dtype=dtype, name=name)


def _is_statistic(port: Port) -> bool:
    """Say whether a stored tensor is only ever the running statistics of a normalisation."""
    uses = list(port.value.uses())
    return bool(uses) and all(
        node.op_type == "BatchNormalization" and index in _STATISTICS for node, index in uses
    )
