"""The graph that is written for a model: marked tensors packed, where that saves bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx
import onnx_ir as ir

from onnxpress.data.batch import Array
from onnxpress.graph.constants import constant_tensor, shape_of
from onnxpress.graph.names import values_by_name
from onnxpress.packing.choosing import find_layouts
from onnxpress.packing.decoder import OLDEST_OPSET, Decoder, Scope, decoder
from onnxpress.packing.layouts import Layout
from onnxpress.packing.marks import mark_packed, packed_names

if TYPE_CHECKING:
    from onnxpress.graph.model import Model


_LEAST: Final = 64  # bytes; the nodes of any decoder take more


@dataclass(frozen=True, slots=True)
class Packing:
    """What packing one tensor comes to.

    Attributes:
        layout: How it is packed; None if no way of packing takes fewer bytes.
        before: The bytes of the tensor in a plain file, name and shape included.
        after: The bytes of all that takes its place; `before` if it stays plain.
    """

    layout: Layout | None
    before: int
    after: int


def stored_form(model: ir.Model) -> ir.Model:
    """Return the graph to write: `model` itself if nothing in it gets smaller."""
    marked = set(packed_names(model))
    if not marked or model.opset_imports.get("", 0) < OLDEST_OPSET:
        return model
    copy = model.clone()
    packed = {name for graph in copy.graphs() for name in _pack_graph(graph, marked, copy)}
    mark_packed(copy, marked - packed)  # those speak for themselves
    return copy if packed else model


def stored_model(model: Model) -> Model:
    """Return a model as its file will be; for checks, and to run what will be run."""
    from onnxpress.graph.model import Model

    graph = stored_form(model.ir)
    return model if graph is model.ir else Model(graph, edited=True)


def packable(model: ir.Model) -> dict[str, ir.Value]:
    """Return the stored tensors that can be packed, by name: of graphs, not of functions."""
    found: dict[str, ir.Value] = {}
    for graph in model.graphs():
        for value in _stored_values(graph):
            if value.name and constant_tensor(value) is not None:
                found.setdefault(value.name, value)
    return found


def weigh(value: ir.Value) -> Packing:
    """Say what packing a stored tensor comes to; constants that decoders share count nothing."""
    return _weigh(value, Scope(_name_to_weigh))[0]


def _pack_graph(graph: ir.Graph, marked: set[str], model: ir.Model) -> list[str]:
    """Put decoders in place of tensors, in place; return the names of those."""
    scope = Scope(_name_to_weigh)
    chosen: dict[str, Decoder] = {}
    saved = 0
    for value in _stored_values(graph):
        if value.name in marked and constant_tensor(value) is not None:
            packing, made = _weigh(value, scope)
            if made is not None:
                chosen[value.name or ""] = made
                saved += packing.before - packing.after
    read = {value for made in chosen.values() for node in made.nodes for value in node.inputs}
    common = [value for value in scope.constants.values() if value in read]
    if saved <= sum(map(_value_bytes, common)):
        return []
    _give_names(common, chosen.values(), _namer(model))
    _replace(graph, chosen, common)
    return list(chosen)


def _give_names(
    common: Iterable[ir.Value], decoders: Iterable[Decoder], name: Callable[[], str]
) -> None:
    """Give the values of decoders their names, the shortest that nobody has yet."""
    for value in common:
        value.name = name()
    for made in decoders:
        computed = (node.outputs[0] for node in made.nodes)
        for value in (*made.own, *computed):
            if value is not made.output:
                value.name = name()


def _replace(graph: ir.Graph, chosen: Mapping[str, Decoder], common: list[ir.Value]) -> None:
    """Put nodes and constants in place; constants stand where the tensor stood."""
    constants: list[ir.Value] = list(common)
    nodes: list[ir.Node] = []
    for value in _stored_values(graph):
        made = chosen.get(value.name or "")
        if made is None:
            constants += [value] if value.is_initializer() else []
            continue
        constants += made.own
        nodes += made.nodes
        _redirect(value, made.output)
    graph.initializers.clear()
    for value in constants:
        graph.register_initializer(value)
    if len(graph):
        graph.insert_before(graph[0], nodes)
    else:
        graph.extend(nodes)


def _redirect(old: ir.Value, new: ir.Value) -> None:
    """Let everything that reads `old` read `new`; a Constant goes."""
    if old.is_graph_output():  # of others, inference finds the type
        new.shape, new.type = old.shape, old.type
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    if (node := old.producer()) is not None and node.graph is not None:
        node.graph.remove(node, safe=True)


def _stored_values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from list(graph.initializers.values())
    for node in list(graph):
        if node.op_type == "Constant":
            yield node.outputs[0]


def _weigh(value: ir.Value, scope: Scope) -> tuple[Packing, Decoder | None]:
    tensor = constant_tensor(value)
    assert tensor is not None  # callers looked
    before = _plain_bytes(value, tensor)
    best: tuple[Packing, Decoder | None] = (Packing(None, before, before), None)
    if tensor.nbytes <= _LEAST:
        return best
    for layout in find_layouts(tensor):
        made = decoder(layout, _reader(tensor), value.name or "", scope)
        after = sum(map(_node_bytes, made.nodes)) + sum(map(_value_bytes, made.own))
        if after < best[0].after:
            best = Packing(layout, before, after), made
    return best


def _reader(tensor: ir.TensorProtocol) -> Callable[[], Array]:
    return lambda: np.asarray(tensor.numpy())


def _plain_bytes(value: ir.Value, tensor: ir.TensorProtocol) -> int:
    """Return what a stored tensor takes up; of a Constant, without the few bytes of its frame."""
    node = value.producer()
    names = 0 if node is None else len(node.name or "") + len(node.op_type)
    return names + _tensor_bytes(value.name or "", tensor)


def _value_bytes(value: ir.Value) -> int:
    assert value.const_value is not None  # `stored` gave it one
    return _tensor_bytes(value.name or "", value.const_value)


def _tensor_bytes(name: str, tensor: ir.TensorProtocol) -> int:
    proto = onnx.TensorProto(name=name, data_type=tensor.dtype.value, dims=shape_of(tensor))
    return _field(int(proto.ByteSize()) + _field(tensor.nbytes))


def _node_bytes(node: ir.Node) -> int:
    return _field(int(ir.to_proto(node).ByteSize()))


def _field(length: int) -> int:
    """Return the bytes of a protobuf field that holds `length` bytes."""
    return 1 + max(1, -(-length.bit_length() // 7)) + length


def _name_to_weigh() -> str:
    """Return a name as long as most; only `_give_names` knows which are free."""
    return "_10"


def _namer(model: ir.Model) -> Callable[[], str]:
    """Return what gives short names that no value of a model has."""
    taken = set(values_by_name(model))
    names = (name for name in (f"_{i}" for i in count()) if name not in taken)
    return lambda: next(names)
