"""Bodies of nodes: a copy of one to which a rule adds nodes, as the body of another node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import onnx_ir as ir

from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError
from onnxpress.graph.constants import STANDARD, constant_tensor, subgraphs
from onnxpress.graph.types import Dim

_RANDOM: Final = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike"}
    | {"RandomUniform", "RandomUniformLike"}
)


class Body:
    """A copy of a body to which a rule adds nodes, and which becomes the body of another node.

    Values that `source` reads from outside are read from there by the copy too.

    Args:
        outer: The builder of the graph in which the new node will be.
        source: The body to copy.
        given: What stands for the inputs of `source`.

    Attributes:
        graph: The copy; it has no inputs and outputs before `input` and `output` add them.
        nodes: The nodes that were copied.
        op: Adds nodes to it.
    """

    def __init__(
        self, outer: Builder, source: ir.Graph, given: Iterable[tuple[ir.Value, ir.Value]] = ()
    ) -> None:
        self.graph = ir.Graph([], [], nodes=[], name=outer.name(source.name or "body"))
        self._new = dict(given)
        _copy(source, self.graph, outer, self._new)
        self.nodes = list(self.graph)
        self.op = outer.inner(self.graph)

    def __getitem__(self, value: ir.Value) -> ir.Value:
        """Return what stands for a value of the source; those from outside stand for themselves."""
        return self._new.get(value, value)

    def input(self, value: ir.Value) -> Tensor:
        """Add an input."""
        self.graph.inputs.append(value)
        return self.op.tensor(value)

    def inside(self, outer: Tensor, like: ir.Value) -> Tensor:
        """Return a tensor from outside under a name of its own, of the type of `like`."""
        value = renamed(self.op, self.graph, outer.value)
        return self.op.typed(value, like.dtype, self.op.tensor(like).shape)

    def output(self, result: Tensor, like: Tensor) -> None:
        """Add an output, of the type of `like`."""
        value, node = result.value, result.value.producer()
        # ONNX Runtime refuses outputs that no node of the body computes.
        if node is None or node.graph is not self.graph or value in self.graph.outputs:
            value = renamed(self.op, self.graph, value)
        self.op.typed(value, like.dtype, like.shape)
        self.graph.outputs.append(value)

    def seeds(self, pairs: Iterable[tuple[ir.Value, Tensor]]) -> dict[ir.Value, Tensor]:
        """Return what arrives at values of the source, summed where one is named twice."""
        terms: dict[ir.Value, list[Tensor]] = {}
        for value, gradient in pairs:
            terms.setdefault(self[value], []).append(gradient)
        return {value: self.op.add(arrived) for value, arrived in terms.items()}

    def prune(self) -> None:
        """Drop the nodes whose results nobody reads."""
        for node in reversed(self.graph):
            if not any(v.uses() or v.is_graph_output() for v in node.outputs):
                _forget(node)
                self.graph.remove(node, safe=True)


def fresh(
    names: Builder, name: str | None, like: ir.Value, shape: Sequence[Dim] | None
) -> ir.Value:
    """Return a new value of the element type of another, to become the input of a body."""
    shaped = None if shape is None else ir.Shape(shape)
    return ir.Value(name=names.name(name or "value"), type=like.type, shape=shaped)


def renamed(names: Builder, graph: ir.Graph, value: ir.Value) -> ir.Value:
    """Return `value` under another name in a graph; a builder would find an equal node outside."""
    node = ir.Node("", "Identity", [value], num_outputs=1)
    node.outputs[0].name = node.name = names.name(value.name or "value")
    node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
    graph.append(node)
    return node.outputs[0]


def _copy(
    source: ir.Graph, target: ir.Graph, names: Builder, new: dict[ir.Value, ir.Value]
) -> None:
    """Copy the nodes of a graph, and write down in `new` what stands for each value."""
    assert not source.initializers, "constants of bodies are lifted before"
    for node in source:
        _refuse_random(node)
        inputs = [None if value is None else new.get(value, value) for value in node.inputs]
        attributes = [_attribute(a, names, new) for a in node.attributes.values()]
        outputs = [_copied(value, names, new) for value in node.outputs]
        target.append(
            ir.Node(
                node.domain, node.op_type, inputs, attributes,
                outputs=outputs, name=names.name(node.name or node.op_type), overload=node.overload,
            )
        )  # fmt: skip


def _copied(value: ir.Value, names: Builder, new: dict[ir.Value, ir.Value]) -> ir.Value:
    name = names.name(value.name) if value.name else ""
    new[value] = ir.Value(name=name, type=value.type, shape=value.shape)
    return new[value]


def _attribute(attribute: ir.Attr, names: Builder, new: dict[ir.Value, ir.Value]) -> ir.Attr:
    if attribute.type != ir.AttributeType.GRAPH:
        return attribute
    source = attribute.as_graph()
    inputs = [_copied(value, names, new) for value in source.inputs]
    graph = ir.Graph(inputs, [], nodes=[], name=names.name(source.name or "body"))
    _copy(source, graph, names, new)
    graph.outputs.extend(new.get(value, value) for value in source.outputs)
    return ir.AttrGraph(attribute.name, graph)


def _refuse_random(node: ir.Node) -> None:
    """Refuse what would not give a second time what it gave the first."""
    random = node.op_type in _RANDOM or (node.op_type == "Dropout" and _drops(node))
    if random and node.domain in STANDARD:
        raise ModelError(
            f"{node.op_type} {node.name or node.outputs[0].name!r} gives random numbers inside a "
            "branch or a loop; the gradient has to compute the body again and would get others: "
            "compute them outside and let the body read them"
        )


def _drops(dropout: ir.Node) -> bool:
    """Say whether a Dropout may be in training mode."""
    mode = next(iter(dropout.inputs[2:]), None)
    known = None if mode is None else constant_tensor(mode)
    return mode is not None and (known is None or bool(known.numpy()))


def _forget(node: ir.Node) -> None:
    """Let the bodies of a node that goes read nothing any more."""
    for body in subgraphs(node):
        body.outputs.clear()
        for inner in reversed(body):
            _forget(inner)
            body.remove(inner, safe=True)
