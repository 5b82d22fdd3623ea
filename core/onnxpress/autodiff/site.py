"""`Site`: what a gradient rule sees of the node it differentiates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import onnx_ir as ir

from onnxpress.autodiff.broadcasting import sum_to
from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.tensor import Tensor
from onnxpress.data.batch import Array
from onnxpress.graph.constants import constant_tensor, stored_constant

if TYPE_CHECKING:
    from onnxpress.autodiff.backward import Walk


@dataclass(frozen=True)
class Site:
    """One node, its inputs and outputs, and the gradients of its outputs.

    Attributes:
        node: The node itself; rules read its attributes through the methods here.
        op: Adds nodes to the graph that computes gradients.
        x: The inputs; None for those left out.
        y: The outputs; those left out or never read may be None.
        dy: The gradient of every output, None where nothing depends on it.
        wanted: Indices of the inputs whose gradients somebody needs.
        walk: The walk that this is a step of, for rules that differentiate bodies.
    """

    node: ir.Node
    op: Builder
    x: tuple[Tensor | None, ...]
    y: tuple[Tensor | None, ...]
    dy: tuple[Tensor | None, ...]
    wanted: frozenset[int]
    walk: Walk

    def input(self, index: int) -> Tensor:
        """Return an input that the operator requires."""
        x = self.x[index]
        assert x is not None, f"{self.node.op_type} needs input {index}"
        return x

    def output(self, index: int = 0) -> Tensor:
        """Return an output."""
        y = self.y[index]
        assert y is not None, f"output {index} of {self.node.op_type} has no name"
        return y

    def has(self, index: int) -> bool:
        """Say whether an optional input is given."""
        return len(self.x) > index and self.x[index] is not None

    def needs(self, index: int) -> bool:
        """Say whether the gradient of an input is needed; for rules where it costs something."""
        return index in self.wanted

    @cached_property
    def gradient(self) -> Tensor:
        """The gradient of the first output, zeros if nothing depends on it."""
        return self.gradient_of(0)

    def gradient_of(self, index: int) -> Tensor:
        """Return the gradient of an output, zeros if nothing depends on it."""
        dy = self.dy[index]
        return self.op.zeros_like(self.output(index)) if dy is None else dy

    def unbroadcast(self, gradient: Tensor, index: int) -> Tensor | None:
        """Sum a gradient in the shape of the first output to the shape of an input.

        None if nobody needs it.
        """
        if not self.needs(index):
            return None
        wide = self.op.tensor(gradient.value)
        if wide.shape is None:
            wide = self.op.typed(wide.value, wide.dtype, self.output().shape)
        return sum_to(wide, self.input(index))

    def integer(self, name: str, default: int = 0) -> int:
        """Read an integer attribute."""
        return int(self.node.attributes.get_int(name, default))

    def number(self, name: str, default: float) -> float:
        """Read a float attribute."""
        return float(self.node.attributes.get_float(name, default))

    def text(self, name: str, default: str) -> str:
        """Read a string attribute."""
        return str(self.node.attributes.get_string(name, default))

    def ints(self, name: str, default: Sequence[int] | None = None) -> tuple[int, ...] | None:
        """Read a list of integers."""
        found = self.node.attributes.get_ints(name, default)
        return None if found is None else tuple(map(int, found))

    def constant(self, index: int) -> Array | None:
        """Return the elements of an input that is stored as it is, None if it is computed."""
        x = self.x[index] if len(self.x) > index else None
        found = None if x is None else stored_constant(x.value)
        if found is None or found[1]:
            return None
        tensor = constant_tensor(found[0])
        return None if tensor is None else tensor.numpy()

    def axes(self, index: int = 1) -> tuple[int, ...] | None:
        """Return axes given as a constant input (or, before, an attribute), none negative.

        None if there are none given, or they are computed, or the rank is unknown.
        """
        given = self.constant(index)
        listed = self.ints("axes") if given is None else [int(a) for a in given.reshape(-1)]
        rank = self.input(0).rank
        if listed is None or rank is None:
            return None
        return tuple(axis % rank for axis in listed)

    def axis(self, default: int = -1) -> int:
        """Read the attribute ``axis``, counted from the front where the rank is known."""
        axis, rank = self.integer("axis", default), self.input(0).rank
        return axis if rank is None or axis >= 0 else axis + rank
