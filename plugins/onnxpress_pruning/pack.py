"""The steps ``pack`` and ``unpack``: small files without zip."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, final

from pydantic import Field

from onnxpress.contract import Transform
from onnxpress.select import Patterns

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.graph.edit import Editor
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress.packing.layouts import Layout
    from onnxpress.packing.stored import Packing

_STORED_AS: Final = {
    "mask": "bit mask and values",
    "gaps": "gaps (8 bits) and values",
    "small-gaps": "gaps (4 bits) and values",
    "skips": "gaps and skips (4 bits) and values",
}


@final
class Pack(Transform):
    """Store sparse weights as positions and values, where that makes the file smaller.

    A tensor that is mostly zeros (or, of small integers, mostly one value, such as the zero
    point) is written as a bit for every element, or four or eight bits for every gap between those
    kept, and the values that are kept; whole rows, kernels or blocks go together.  For each tensor
    the smallest form counts, names and nodes included; what gets no smaller stays plain.  In
    the file, standard operators give the tensor back, bit for bit; ONNX Runtime computes them
    once while it loads the model, and then runs the same graph as ever.

    Nothing else changes: the model stays plain in memory, and its file is packed from now on,
    after later steps too, until ``unpack``.  Weights that keep the pattern 2:4 are listed in
    the metadata under ``onnxpress.two_of_four``, with the axis, for runtimes that use it.
    """

    name: ClassVar[str] = "pack"

    layers: Patterns = Field(
        default=(), description="only the tensors of these layers: names, globs, re:REGEX, op:TYPE"
    )
    exclude: Patterns = Field(default=(), description="leave the tensors of these layers plain")
    freeze: bool = Field(
        default=False,
        description="drop graph inputs that only override stored weights (old exporters list all)",
    )

    def apply(self, model: Model, job: Job) -> Model:
        from onnxpress.graph.weights import MULTIPLIED
        from onnxpress_pruning.two_of_four import record_two_of_four

        edit = model.edit()
        if self.freeze:
            edit.freeze()
        weights = {w.name: w for ly in edit.layers for w in ly.weights if w.role in MULTIPLIED}
        packed = _pack(edit.ir, self._chosen(edit, job), set(weights), job)
        if packed:
            record_two_of_four(edit.ir, [weights[name] for name in packed if name in weights])
        return edit.done() if packed or self.freeze else model

    def _chosen(self, edit: Editor, job: Job) -> dict[str, ir.Value]:
        """Return the tensors to look at by name; decline those that can't be packed."""
        from onnxpress.packing.stored import packable
        from onnxpress_pruning.targets import decline_overridable

        decline_overridable(edit.graph, job)
        known = packable(edit.ir)
        asked = tensors_of(edit, self.layers)
        for name, layer in asked.items():
            if name not in known:
                job.decline(layer, f"{name} is stored in the body of a function")
        wanted = asked if self.layers else known
        spared = tensors_of(edit, self.exclude) if self.exclude else {}
        return {n: known[n] for n in wanted if n in known and n not in spared}


@final
class Unpack(Transform):
    """Store packed tensors in their plain form again; undoes ``pack``, bit for bit."""

    name: ClassVar[str] = "unpack"

    layers: Patterns = Field(
        default=(), description="only the tensors of these layers: names, globs, re:REGEX, op:TYPE"
    )
    exclude: Patterns = Field(default=(), description="leave the tensors of these layers packed")

    def apply(self, model: Model, job: Job) -> Model:
        from onnxpress.packing.marks import mark_packed, packed_names

        edit = model.edit()
        packed = packed_names(edit.ir)
        asked = set(tensors_of(edit, self.layers)) if self.layers else set(packed)
        spared = set(tensors_of(edit, self.exclude)) if self.exclude else set[str]()
        plain = [name for name in packed if name in asked - spared]
        for name in plain:
            job.change(name, stored_as="plain")
        if not plain:
            job.decline("model", "none of the chosen tensors is packed")
            return model
        mark_packed(edit.ir, set(packed) - set(plain))
        return edit.done()


def tensors_of(edit: Editor, include: Patterns) -> dict[str, str]:
    """Return the names of the stored tensors of chosen layers, each with that of its layer."""
    from onnxpress.select import select

    layers = select(edit.layers, include)
    return {weight.name: layer.name for layer in layers for weight in layer.tensors}


def _pack(graph: ir.Model, chosen: dict[str, ir.Value], expected: set[str], job: Job) -> list[str]:
    """Mark the tensors that get smaller, in place; return their names.

    Of others, those that are `expected` to are declined.
    """
    from onnxpress.packing.marks import mark_packed, packed_names
    from onnxpress.packing.stored import stored_form, weigh

    items = job.track(chosen.items(), "packing", len(chosen))
    packings = {name: weigh(value) for name, value in items}
    packed = [name for name, packing in packings.items() if packing.layout is not None]
    before = packed_names(graph)
    mark_packed(graph, [*before, *packed])
    if packed and stored_form(graph) is graph:
        mark_packed(graph, before)
        job.decline("model", "the nodes that unpack take more bytes than packing saves")
        return []
    for name, packing in packings.items():
        if packing.layout is not None:
            _tell(name, packing, packing.layout, job)
        elif name in expected:
            job.decline(name, "no packed form takes fewer bytes than the plain one")
    return packed


def _tell(name: str, packing: Packing, layout: Layout, job: Job) -> None:
    sizes = {"bytes_before": packing.before, "bytes_after": packing.after}
    job.change(name, stored_as=_STORED_AS[layout.kind], block=layout.block, **sizes)
