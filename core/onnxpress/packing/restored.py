"""Finding packed tensors in a graph that was read, and putting plain ones in their place.

They are found by their nodes, not by names: a decoder is recognised if it is one that
`decoder` could have written and its parts fit together.  What was changed since is left as
it is; it runs all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from onnxpress.data.batch import Array
from onnxpress.graph.constants import constant_tensor, shape_of
from onnxpress.graph.external import FromFiles, data_files
from onnxpress.packing.decoder import Scope, decoder
from onnxpress.packing.layouts import PACKABLE, Kind, Layout, Parts, unpack
from onnxpress.packing.marks import mark_packed, packed_names
from onnxpress.packing.stored import packable


def restore_packed(model: ir.Model) -> None:
    """Make every packed tensor of a model plain again, in place, and mark it."""
    restored = [name for graph in model.graphs() for name in _restore(graph)]
    marked = set(packed_names(model))
    if restored or marked:
        mark_packed(model, (marked & packable(model).keys()).union(restored))


@dataclass(frozen=True, slots=True)
class _Found:
    """A decoder in a graph."""

    output: ir.Value
    array: Array
    dtype: ir.DataType
    values: ir.Value
    nodes: tuple[ir.Node, ...]
    files: tuple[Path, ...]  # of which the parts were read


def _restore(graph: ir.Graph) -> list[str]:
    found = list(_decoders(graph))
    if not found:
        return []
    plain = {decoder.values: _initializer(decoder) for decoder in found}
    nodes = [node for decoder in found for node in decoder.nodes]
    read = {value for node in nodes for value in node.inputs}
    graph.remove(nodes, safe=True)
    stored = list(graph.initializers.values())
    graph.initializers.clear()
    for value in stored:  # a plain tensor stands where its values stood
        if value in plain:
            graph.register_initializer(plain[value])
        if value not in read or value.uses() or value.is_graph_output():
            graph.register_initializer(value)
    return [decoder.output.name or "" for decoder in found]


def _initializer(found: _Found) -> ir.Value:
    """Return a stored tensor that everything reads which read the decoder's output."""
    tensor = FromFiles(found.array, found.dtype, name=found.output.name)
    tensor.files = found.files
    value = ir.Value(
        name=found.output.name,
        shape=ir.Shape(found.array.shape),
        type=ir.TensorType(found.dtype),
        const_value=tensor,
    )
    found.output.replace_all_uses_with(value, replace_graph_outputs=True)
    return value


def _decoders(graph: ir.Graph) -> Iterator[_Found]:
    for node in graph:
        if node.op_type in {"Reshape", "Cast"} and (found := _decoder(node.outputs[0])):
            yield found


def _decoder(output: ir.Value) -> _Found | None:
    """Guess how a tensor is packed, write the decoder for that, and compare."""
    guess = _guess(output)
    if guess is None:
        return None
    layout, fill = guess
    scope = Scope(lambda: "")
    wanted = decoder(layout, lambda: fill, output.name or "", scope)
    pairs: dict[ir.Value, ir.Value] = {}
    where, values = wanted.own[:2]
    if not _equal(output, wanted.output, pairs, {where, values}):
        return None
    nodes = [node for w in wanted.nodes for node in [pairs[w.outputs[0]].producer()] if node]
    if not _read_nowhere_else(nodes, output):
        return None
    parts = Parts(_array(pairs[where]), _array(pairs[values]), fill)
    array = unpack(parts, layout)
    if array is None:
        return None
    files = data_files(filter(None, (_stored(pairs[part]) for part in (where, values))))
    return _Found(output, array, layout.dtype, pairs[values], tuple(nodes), tuple(sorted(files)))


def _guess(output: ir.Value) -> tuple[Layout, Array] | None:
    """Return the layout of which the decoder of `output` might be, and the fill."""
    last = _producer(output, "Reshape", "Cast")
    reshape = (
        last if last is None or last.op_type == "Reshape" else _producer(_input(last, 0), "Reshape")
    )
    shape = _stored(_input(reshape, 1))
    placed = _producer(_input(reshape, 0), "GatherElements", "Gather", "ScatterND")
    kind = _kind(placed)
    values = _input(placed, 0 if kind == "mask" else 2)
    if kind == "skips":
        values = _input(_producer(values, "Gather"), 0)
    if (cast := _producer(values, "Cast")) is not None:
        values = _input(cast, 0)
    tensor = _stored(values)
    if placed is None or shape is None or tensor is None or tensor.dtype not in PACKABLE:
        return None
    sizes, stored_shape = tuple(map(int, shape.numpy().reshape(-1))), shape_of(tensor)
    block = math.prod(stored_shape[1:])
    if not stored_shape or not stored_shape[0] or not block or math.prod(sizes) % block:
        return None
    gaps = _gaps(placed)
    skips = gaps.size - stored_shape[0] + 1 if kind == "skips" and gaps is not None else 0
    layout = Layout(kind, tensor.dtype, sizes, block, stored_shape[0], skips)
    return layout, _fill(placed, np.asarray(tensor.numpy()).reshape(-1)[:1])


def _fill(placed: ir.Node, first: Array) -> Array:
    """Return what is not stored: the first of the values, unless there are zeros to begin with."""
    full = _producer(_input(placed, 0), "ConstantOfShape")
    if full is None:
        return first
    value = full.attributes.get("value")
    if value is None:
        return np.zeros_like(first)
    return np.asarray(value.as_tensor().numpy()).reshape(-1)[:1].astype(first.dtype)


def _kind(placed: ir.Node | None) -> Kind:
    if placed is None or placed.op_type != "ScatterND":
        return "mask"
    if _producer(_input(placed, 2), "Gather") is not None:
        return "skips"
    gaps = _gaps(placed)
    return "small-gaps" if gaps is not None and gaps.dtype == ir.DataType.UINT4 else "gaps"


def _gaps(placed: ir.Node) -> ir.TensorProtocol | None:
    """Return the stored gaps behind the positions of a ScatterND."""
    steps = _input(_producer(_input(placed, 1), "CumSum"), 0)
    if (least := _producer(steps, "Min")) is not None:
        steps = _input(least, 0)
    return _stored(_input(_producer(steps, "Cast"), 0))


def _equal(
    found: ir.Value | None, wanted: ir.Value, pairs: dict[ir.Value, ir.Value], parts: set[ir.Value]
) -> bool:
    """Compare what computes two values, down to constants; of `parts` only type and shape."""
    if found is None or pairs.setdefault(wanted, found) is not found:
        return False
    tensor = wanted.const_value
    if tensor is not None:
        return _equal_tensors(_stored(found), tensor, content=wanted not in parts)
    ours, theirs = found.producer(), wanted.producer()
    if ours is None or theirs is None or ours.op_identifier() != theirs.op_identifier():
        return False
    if len(ours.inputs) != len(theirs.inputs) or ours.attributes.keys() != theirs.attributes.keys():
        return False
    attributes = all(_equal_attributes(a, theirs.attributes[n]) for n, a in ours.attributes.items())
    inputs = zip(ours.inputs, theirs.inputs, strict=True)
    return attributes and all(w is not None and _equal(f, w, pairs, parts) for f, w in inputs)


def _equal_attributes(found: ir.Attr, wanted: ir.Attr) -> bool:
    if found.is_ref() or found.type != wanted.type:
        return False
    if found.type == ir.AttributeType.TENSOR:
        return _equal_tensors(found.as_tensor(), wanted.as_tensor(), content=True)
    return bool(found.value == wanted.value)


def _equal_tensors(
    found: ir.TensorProtocol | None, wanted: ir.TensorProtocol, *, content: bool
) -> bool:
    if found is None or found.dtype != wanted.dtype or shape_of(found) != shape_of(wanted):
        return False
    return not content or found.tobytes() == wanted.tobytes()


def _read_nowhere_else(nodes: Sequence[ir.Node], output: ir.Value) -> bool:
    """Say whether only `nodes` read what they compute, apart from `output`."""
    inside = set(nodes)
    inner = [node.outputs[0] for node in nodes if node.outputs[0] is not output]
    return not any(value.is_graph_output() for value in inner) and all(
        user in inside for value in inner for user, _ in value.uses()
    )


def _producer(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type in op_types and not node.domain else None


def _input(node: ir.Node | None, index: int) -> ir.Value | None:
    return None if node is None or len(node.inputs) <= index else node.inputs[index]


def _stored(value: ir.Value | None) -> ir.TensorProtocol | None:
    """Return the tensor of an initializer that no caller may override."""
    return None if value is None or not value.is_initializer() else constant_tensor(value)


def _array(value: ir.Value) -> Array:
    tensor = _stored(value)
    assert tensor is not None  # it was compared
    return np.asarray(tensor.numpy())
