"""`make_batch_dynamic`: a model that takes any number of samples, of one that takes a fixed number.

One walk in graph order asks, for every tensor, which axis grows with the batch: node by
node, shapes are inferred for a batch of a size that nothing else has.  Where a fixed size
stands in the way (`dynamic_rules`), it is made to follow.  What comes out is believed
only after the outputs of a batch were compared with those of its samples (`dynamic_proof`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper

from onnxpress.data.signature import Input, Signature
from onnxpress.errors import ModelError, OptionError, UnknownNameError
from onnxpress.graph.constants import STANDARD, Shape
from onnxpress.graph.dynamic_proof import prove
from onnxpress.graph.dynamic_rules import REPAIRS
from onnxpress.graph.dynamic_site import Place, Site, carried
from onnxpress.graph.propagate import Scope, Walk
from onnxpress.graph.types import Dim, TensorType, input_dims

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model

SYMBOL: Final = "batch"
_FACTOR: Final = 997  # a prime that no model has as a size
_SMALL: Final = 1024  # elements, as in `propagate`
_CUTS: Final = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


def make_batch_dynamic(
    model: Model,
    axes: Mapping[str, int] | None = None,
    samples: Sequence[Feeds] | None = None,
) -> Model:
    """Return the model with a free number of samples in its inputs and in what follows from them.

    Inputs that only override stored weights (old exporters list all) become constants.  The
    outputs for several samples at once are compared with those that the original gives for each.

    Args:
        model: The model; returned as it is if its batch size is free already.
        axes: Which axis of an input counts samples, by name of the input; the first one of
            those not named.
        samples: What to compare outputs on: feeds of the original, at least two and different
            from each other; random ones by default.

    Raises:
        UnknownNameError: If `axes` names an input that the model does not have.
        OptionError: If it names an axis that the input does not have.
        ModelError: If the inputs do not agree on a batch size, or an output of the result
            is not what the original gives; says which, where, and what to do.
    """
    signature = Signature.of(model)
    chosen = _axes(signature.inputs, axes or {})
    batch = _fixed(signature, chosen, named=bool(axes))
    if batch is None:
        return model
    rewrite = _Rewrite(model, batch, chosen)
    result = rewrite.run()
    prove(model, result, rewrite.places, samples)
    return result


def _axes(inputs: Sequence[Input], named: Mapping[str, int]) -> dict[str, int]:
    """Return the axis that counts samples, for every input that has axes."""
    ranks = {i.name: len(i.shape or ()) for i in inputs}
    for name, axis in named.items():
        if name not in ranks:
            raise UnknownNameError("input", name, ranks)
        if not 0 <= axis < ranks[name]:
            raise OptionError(f"input {name!r} has no axis {axis}: it has {ranks[name]}, from 0")
    return {name: named.get(name, 0) for name, rank in ranks.items() if rank}


def _fixed(signature: Signature, axes: Mapping[str, int], *, named: bool) -> int | None:
    """Return the batch size that all inputs agree on, None if it is free in all of them."""
    sizes = {i.shape[axes[i.name]] for i in signature.inputs if i.shape}
    fixed = {size for size in sizes if isinstance(size, int)}
    if len(fixed) > 1 or not sizes or (fixed and not named and not signature.batched):
        listed = ", ".join(f"{i.name!r} is {i}" for i in signature.inputs)
        raise ModelError(
            "the batch size can't be made free: the first dimensions of the inputs do not all "
            f"count samples ({listed}); say which axis does: --batch-axis NAME=AXIS"
        )
    return fixed.pop() if fixed else None


class _Rewrite:
    """One model on its way to a free batch size.

    Attributes:
        places: Where the batch is, by name of the tensor.
    """

    def __init__(self, model: Model, batch: int, axes: Mapping[str, int]) -> None:
        self.places: dict[str, Place] = {}
        self._axes = axes
        self._batch = batch
        self._types = model.types
        self._edit = model.edit()
        self._edit.freeze()
        self._symbol = _symbol(model.ir)
        graph = self._edit.ir
        self._walk = Walk(graph.opset_imports, graph.ir_version)
        self._scope = Scope()

    def run(self) -> Model:
        """Free the inputs, then every node in order, then say so at the outputs."""
        for value in self._edit.graph.inputs:
            self._free_input(value)
        for value in self._edit.graph.initializers.values():
            if value.const_value is not None:
                self._learn_stored(value.name or "", value.const_value)
        for node in list(self._edit.graph):
            self._visit(node)
        self._tell_shapes()
        return self._edit.done()

    def _free_input(self, value: ir.Value) -> None:
        name, known = value.name or "", self._types.get(value.name or "")
        if known is None or not known.shape or known.dtype is None:
            return
        self.places[name] = place = Place(self._axes[name])
        dims = list(known.shape)
        if isinstance(dims[place.axis], int):
            dims[place.axis] = self._symbol
        value.shape = ir.Shape(dims)
        dims[place.axis] = self._batch * _FACTOR
        self._note_type(name, known.dtype, dims)

    def _learn_stored(self, name: str, tensor: ir.TensorProtocol) -> None:
        self._note_type(name, tensor.dtype, tuple(tensor.shape.numpy()))
        if tensor.size <= _SMALL:
            self._scope.learn(name, np.asarray(tensor.numpy()))

    def _note_type(self, name: str, dtype: ir.DataType, shape: Sequence[Dim]) -> None:
        self._scope.types[name] = helper.make_tensor_type_proto(dtype.value, list(shape))

    def _visit(self, node: ir.Node) -> None:
        """Repair a node, and find out where the batch is in its results."""
        opset = self._edit.graph.opset_imports.get(node.domain)
        repair = REPAIRS.find(node.op_type, node.domain, opset)
        if repair is not None:
            repair(self._site(node))
        self._infer(node)
        for value in node.outputs:
            self._locate(node, value)

    def _site(self, node: ir.Node) -> Site:
        def insert(added: ir.Node) -> ir.Value:
            self._edit.graph.insert_before(node, added)
            self._infer(added)
            return added.outputs[0]

        def put(value: ir.Value, place: Place) -> None:
            self.places[value.name or ""] = place

        return Site(
            node, self._edit, self._batch, _FACTOR, self._place, self._old, self._probe, insert, put
        )

    def _place(self, value: ir.Value | None) -> Place | None:
        return None if value is None else self.places.get(value.name or "")

    def _old(self, value: ir.Value | None) -> Shape | None:
        known = None if value is None else self._types.get(value.name or "")
        return None if known is None else known.fixed

    def _probe(self, value: ir.Value | None) -> Array | None:
        return None if value is None else self._scope.data.get(value.name or "")

    def _infer(self, node: ir.Node) -> None:
        for value in node.inputs:  # a repair may have stored a new one
            if value is not None and value.name not in self._scope.types and value.const_value:
                self._learn_stored(value.name or "", value.const_value)
        self._walk.node(ir.to_proto(node), self._scope)

    def _locate(self, node: ir.Node, value: ir.Value) -> None:
        """Find the axis of a result that grows with the batch."""
        name = value.name or ""
        old, new = self._types.get(name), _shape(self._scope.types.get(name))
        noted = self.places.pop(name, None)
        if old is None or old.shape is None:
            return
        if new is None or len(new) != len(old.shape) or _unknown(old.shape, new):
            self._assume(node, name, old)
            return
        axes = [
            axis
            for axis, (size, grown) in enumerate(zip(old.shape, new, strict=True))
            if isinstance(size, int) and size and grown == size * _FACTOR
        ]
        if len(axes) == 1:
            size = old.shape[axes[0]]
            assert isinstance(size, int)
            if noted is not None and noted.axis == axes[0]:
                self.places[name] = noted
            else:
                self.places[name] = self._merged(node, value, axes[0], size // self._batch)

    def _merged(self, node: ir.Node, value: ir.Value, axis: int, count: int) -> Place:
        """Return the place of a batch that shares its axis with `count` numbers for each sample."""
        data, after = node.inputs[0] if node.inputs else None, self._old(value)
        place, before = self._place(data), self._old(data)
        if node.op_type in _CUTS and place and before is not None and after is not None:
            found = carried(place, before, after, self._batch)
            return next((p for p in found if p.axis == axis), Place(axis, 1, count))
        places = (self._place(other) for other in node.inputs)
        same = next((p for p in places if p is not None and p.merged == count), None)
        return Place(axis, same.outer, same.inner) if same else Place(axis, 1, count)

    def _assume(self, node: ir.Node, name: str, old: TensorType) -> None:
        """Take it that a node nobody knows keeps a batch that comes first; the proof will tell."""
        first = old.shape[0] if old.shape else None
        places = [self._place(value) for value in node.inputs]
        comes_first = any(place is not None and place.axis == 0 for place in places)
        if comes_first and isinstance(first, int) and first % self._batch == 0 and old.shape:
            self.places[name] = Place(0, 1, first // self._batch)
            if old.dtype is not None:
                self._note_type(name, old.dtype, (first * _FACTOR, *old.shape[1:]))

    def _tell_shapes(self) -> None:
        """Write the symbol where the batch is; shapes that can be inferred again are left out."""
        outputs = set(self._edit.graph.outputs)
        for graph in self._edit.ir.graphs():
            inner = [] if graph is self._edit.graph else list(graph.inputs)
            for value in (*inner, *(v for node in graph for v in node.outputs)):
                node = value.producer()
                kept = value in outputs or (node is not None and node.domain not in STANDARD)
                value.shape = self._symbolic(value) if kept and value.shape is not None else None

    def _symbolic(self, value: ir.Value) -> ir.Shape | None:
        known, place = self._types.get(value.name or ""), self._place(value)
        if known is None or known.shape is None:
            return None
        dims: list[Dim] = list(known.shape)
        if place is not None:
            dims[place.axis] = self._symbol if place.alone else None
        return ir.Shape(dims)


def _symbol(model: ir.Model) -> str:
    """Return a name for the batch size that no other dimension has."""
    taken = {label for (_, axis), label in input_dims(model).items() if axis}
    number = 0
    while (name := f"{SYMBOL}_{number}" if number else SYMBOL) in taken:
        number += 1
    return name


def _shape(kind: onnx.TypeProto | None) -> tuple[int | None, ...] | None:
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)


def _unknown(old: Sequence[Dim], new: Sequence[int | None]) -> bool:
    """Say whether a size is open that was a number."""
    return any(isinstance(size, int) and n is None for size, n in zip(old, new, strict=True))
