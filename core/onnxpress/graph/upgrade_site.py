"""What a rule of the table ``upgrade`` sees and may do: one node, and tensors beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NoReturn, TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import ArrayLike

from onnxpress.data.batch import Array
from onnxpress.graph.external import nodes_of
from onnxpress.graph.names import take_name
from onnxpress.graph.types import UNKNOWN, TensorType, infer_types
from onnxpress.rules import RuleTable


class NoUpgradeError(Exception):
    """A node that can't be brought to the working opset exactly; the message says why."""


@dataclass
class Surroundings:
    """What the sites of one model share.

    Attributes:
        model: The model as it was before any rule; types are inferred from it, if asked for.
        copy: The copy that rules change.
        in_function: Whether the rules are at work in a function's body now.
    """

    model: ir.Model
    copy: ir.Model
    in_function: bool = False

    @cached_property
    def types(self) -> Mapping[str, TensorType]:
        """What is known of the tensors of the main graph and its subgraphs, by name."""
        return infer_types(self.model)

    @cached_property
    def names(self) -> set[str]:
        """Every name that is taken."""
        found = {v.name or "" for graph in self.copy.graphs() for v in graph.initializers.values()}
        for graph in self.copy.graphs():
            found.update(value.name or "" for value in graph.inputs)
        for function in self.copy.functions.values():
            found.update(value.name or "" for value in function.inputs)
        for node in nodes_of(self.copy):
            found.update(value.name or "" for value in node.outputs)
        return found

    def unique(self, name: str) -> str:
        """Take a name: the one given, or that with a number."""
        return take_name(name, self.names)


@dataclass
class Site:
    """One node that a rule upgrades, and all that a rule may do there.

    Attributes:
        node: The node; it keeps its name and its outputs, so nobody behind it notices.
        since: The version to which the rule brings it.
    """

    node: ir.Node
    since: int
    around: Surroundings

    @property
    def inputs(self) -> tuple[ir.Value | None, ...]:
        """What the node reads."""
        return tuple(self.node.inputs)

    def take(self, name: str, default: Any = None) -> Any:
        """Remove an attribute and return its value, or `default` where it is not set."""
        attribute = self.node.attributes.pop(name, None)
        if attribute is None:
            return default
        if attribute.is_ref():
            self.fail(f"its attribute {name} is set by the caller of the function around it")
        return attribute.value

    def take_as_input(self, name: str) -> ir.Value | None:
        """Remove an attribute of integers and return it as a tensor, None if it is not set."""
        attribute = self.node.attributes.get(name)
        if attribute is None:
            return None
        if not attribute.is_ref():
            return self.constant(np.array(self.take(name), np.int64), name)
        kind = "value_int" if attribute.type == ir.AttributeType.INT else "value_ints"
        self.node.attributes.pop(name)
        reference = ir.RefAttr(kind, attribute.ref_attr_name or "", attribute.type)
        return self._insert(ir.Node("", "Constant", [], [reference]), name)

    def set(self, **attributes: Any) -> None:
        """Set attributes."""
        for attribute in ir.convenience.convert_attributes(attributes):
            self.node.attributes.add(attribute)

    def set_inputs(self, *values: ir.Value | None) -> None:
        """Give the node other inputs; None stands for one that is left out."""
        self.node.resize_inputs(len(values))
        for index, value in enumerate(values):
            self.node.replace_input_with(index, value)

    def drop_outputs_after(self, count: int, why: str) -> None:
        """Remove all outputs but the first `count`; fail for `why` if somebody reads them."""
        if any(v.uses() or v.is_graph_output() for v in self.node.outputs[count:]):
            self.fail(why)
        self.node.resize_outputs(min(count, len(self.node.outputs)))

    def insert(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Insert a node before this one and return its output."""
        return self._insert(ir.node(op_type, inputs, attributes), op_type.lower())

    def constant(self, array: Array, what: str) -> ir.Value:
        """Store an array and return its value: an initializer, or a node within functions."""
        tensor = ir.Tensor(array)
        graph = self.node.graph
        if self.around.in_function or not isinstance(graph, ir.Graph):
            return self._insert(ir.node("Constant", [], {"value": tensor}), what)
        value = ir.Value(
            name=self.around.unique(self._name(what)),
            shape=ir.Shape(array.shape),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        graph.register_initializer(value)
        return value

    def constant_like(self, numbers: ArrayLike, like: ir.Value | None, what: str) -> ir.Value:
        """Store numbers in the element type of `like`."""
        dtype = self.type_of(like).dtype
        if dtype is None:
            stored = self.constant(np.array(numbers, np.float32), what)
            return self.insert("CastLike", stored, like)
        with np.errstate(over="ignore"):  # a bound beyond the type's range is no bound
            return self.constant(np.array(numbers).astype(dtype.numpy()), what)

    def type_of(self, value: ir.Value | None) -> TensorType:
        """Return what is known of a tensor that was there before; in functions, nothing is."""
        if value is None or self.around.in_function:
            return UNKNOWN
        return self.around.types.get(value.name or "", UNKNOWN)

    def array(self, value: ir.Value | None) -> Array | None:
        """Return the elements of `value` where they are constant."""
        tensor = None if value is None else ir.convenience.get_const_tensor(value)
        if tensor is None or (value is not None and value.is_graph_input()):
            return None
        return np.asarray(tensor.numpy())

    def fail(self, reason: str) -> NoReturn:
        """Give up on this node.

        Raises:
            NoUpgradeError: Always.
        """
        name = self.node.name or self.node.outputs[0].name
        raise NoUpgradeError(
            f"{self.node.op_type} {name!r} can't be brought to opset {self.since}: {reason}"
        )

    def _insert(self, node: ir.Node, what: str) -> ir.Value:
        name = self.around.unique(self._name(what))
        node.name = node.outputs[0].name = name
        self.node.prepend(node)
        return node.outputs[0]

    def _name(self, what: str) -> str:
        return f"{self.node.outputs[0].name}_{what}"


UpgradeRule: TypeAlias = Callable[[Site], None]
UPGRADE: Final[RuleTable[UpgradeRule]] = RuleTable("upgrade")
"""How operators were written before, and how they are written since: one rule per step.

A rule turns a node as it was written before opset ``since`` into what it is from then on.
"""


def flat(values: Sequence[ir.Value | None]) -> tuple[ir.Value | None, ...]:
    """Leave out what is left out at the end."""
    kept = list(values)
    while kept and kept[-1] is None:
        kept.pop()
    return tuple(kept)
