"""`Model`: one ONNX graph with its weights, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from onnxpress.graph.history import Provenance, read_provenance
from onnxpress.graph.layers import Layer, find_layers
from onnxpress.graph.types import TensorType, infer_types

if TYPE_CHECKING:
    import os

    import onnx

    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.cost import Cost
    from onnxpress.graph.edit import Editor
    from onnxpress.rules import Rule


class Model:
    """One ONNX graph with weights.

    A model is a value: nothing here changes it.  To make another one, `edit` it::

        edit = model.edit()
        edit.set_weight(layer.weight, pruned)
        smaller = edit.done()

    Weights are shared between models until one of them changes its own.

    Attributes:
        ir: The graph, an `onnx_ir.Model`.  Read it; change it only through `edit`.
        path: The file it was loaded from, if any.
        edited: Whether it is no longer what that file holds.
    """

    def __init__(self, graph: ir.Model, path: Path | None = None, *, edited: bool = False) -> None:
        self.ir = graph
        self.path = path
        self.edited = edited

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Read an ``.onnx`` file, bring it to the working opset and check it.

        External data stays on disk, memory-mapped.

        Raises:
            UsageError: If there is no such file, or it is a directory.
            ModelError: If it is no ONNX model, is damaged, or fails the checker.
        """
        from onnxpress.graph.read import read_file

        return read_file(Path(path))

    @classmethod
    def from_proto(cls, proto: onnx.ModelProto) -> Model:
        """Take a model that is in memory already; as `load`, but for the file."""
        from onnxpress.graph.read import read_proto

        return read_proto(proto)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as an ``.onnx`` file; either all of it or nothing.

        Weights go into ``<path>.data`` beside it if they would not fit into one
        protobuf (2 GB), or if they came from external data.

        Raises:
            UsageError: If the path can't be written or is a file the model reads from.
            ModelError: If writing fails; what was there before is still there.
        """
        from onnxpress.graph.write import write_file

        write_file(self, Path(path))

    @property
    def inputs(self) -> tuple[ir.Value, ...]:
        """The graph's inputs that a caller must feed (overridable initializers left out)."""
        return tuple(v for v in self.ir.graph.inputs if not v.is_initializer())

    @property
    def outputs(self) -> tuple[ir.Value, ...]:
        """The graph's outputs."""
        return tuple(self.ir.graph.outputs)

    @property
    def opset(self) -> int:
        """The version of the ``ai.onnx`` operator set."""
        return self.ir.opset_imports.get("", 0)

    @cached_property
    def provenance(self) -> Provenance:
        """Where the model came from and what onnxpress did to it."""
        return read_provenance(self.ir)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every parametrised computation, in graph order, subgraphs included."""
        return find_layers(self.ir)

    @cached_property
    def parameters(self) -> Mapping[str, ir.Value]:
        """The stored float tensors that training may change, by name."""
        return MappingProxyType(
            {w.name: w.value for layer in self.layers for w in layer.tensors if w.trainable}
        )

    @cached_property
    def types(self) -> Mapping[str, TensorType]:
        """Element type and shape of every tensor that shape inference reaches, by name."""
        return infer_types(self.ir)

    def cost(self, dims: Mapping[str, int] | None = None, rules: tuple[Rule, ...] = ()) -> Cost:
        """Count parameters, multiply-accumulates and bytes.

        Args:
            dims: Sizes for symbolic dimensions, by name; those not named count as 1.
            rules: Rules of plugins for the table ``cost``.
        """
        from onnxpress.graph.cost import cost_of

        return cost_of(self, dims or {}, rules)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run the model once in ONNX Runtime on the CPU and return its outputs by name."""
        from onnxpress.session import Session

        return Session(self).run(feeds)

    def check(self) -> None:
        """Run `onnx.checker` over the model.

        Raises:
            ModelError: With what the checker said.
        """
        from onnxpress.graph.read import check

        check(self.ir)

    def edit(self) -> Editor:
        """Return an editor on a copy of the graph that shares the weights."""
        from onnxpress.graph.edit import Editor

        return Editor(self)

    def __repr__(self) -> str:
        where = f" from {self.path.name}" if self.path else ""
        nodes: Any = self.ir.graph.num_nodes()
        return f"<Model{where}: {nodes} nodes, {len(self.layers)} layers, opset {self.opset}>"
