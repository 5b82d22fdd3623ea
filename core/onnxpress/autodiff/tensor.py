"""`Tensor`: a value of a graph under construction, with arithmetic that adds nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.graph.types import Dim

if TYPE_CHECKING:
    from onnxpress.autodiff.builder import Builder
    from onnxpress.data.batch import Array

Number: TypeAlias = int | float
Operand: TypeAlias = "Tensor | Number | Array"


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A value, what is known of its type, and the builder that may add nodes behind it.

    ``a * b``, ``a + 1``, ``a @ b`` and so on add a node and return its output; plain numbers
    become constants of the tensor's own element type.  Comparisons give boolean tensors, so
    two tensors are never equal in Python's sense: compare their `value`.

    Attributes:
        value: The value in the graph.
        op: The builder.
        dtype: The element type, None if unknown.
        shape: One entry per axis: a number, a symbol, or None; None if the rank is unknown.
    """

    value: ir.Value
    op: Builder
    dtype: ir.DataType | None
    shape: tuple[Dim, ...] | None

    @property
    def rank(self) -> int | None:
        """The number of axes, if it is known."""
        return None if self.shape is None else len(self.shape)

    @property
    def fixed(self) -> tuple[int, ...] | None:
        """The shape if all of it is numbers."""
        sizes = tuple(dim for dim in self.shape or () if isinstance(dim, int))
        return None if self.shape is None or len(sizes) < len(self.shape) else sizes

    @property
    def name(self) -> str:
        """The name of the value."""
        return self.value.name or ""

    def __add__(self, other: Operand) -> Tensor:
        return self.op("Add", self, self._like(other))

    def __radd__(self, other: Operand) -> Tensor:
        return self.op("Add", self._like(other), self)

    def __sub__(self, other: Operand) -> Tensor:
        return self.op("Sub", self, self._like(other))

    def __rsub__(self, other: Operand) -> Tensor:
        return self.op("Sub", self._like(other), self)

    def __mul__(self, other: Operand) -> Tensor:
        return self.op("Mul", self, self._like(other))

    def __rmul__(self, other: Operand) -> Tensor:
        return self.op("Mul", self._like(other), self)

    def __truediv__(self, other: Operand) -> Tensor:
        return self.op("Div", self, self._like(other))

    def __rtruediv__(self, other: Operand) -> Tensor:
        return self.op("Div", self._like(other), self)

    def __pow__(self, other: Operand) -> Tensor:
        return self.op("Pow", self, self._like(other))

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.op("MatMul", self, other)

    def __neg__(self) -> Tensor:
        return self.op("Neg", self)

    def __gt__(self, other: Tensor | Number) -> Tensor:
        return self.op("Greater", self, self._like(other))

    def __ge__(self, other: Tensor | Number) -> Tensor:
        return self.op("GreaterOrEqual", self, self._like(other))

    def __lt__(self, other: Tensor | Number) -> Tensor:
        return self.op("Less", self, self._like(other))

    def __le__(self, other: Tensor | Number) -> Tensor:
        return self.op("LessOrEqual", self, self._like(other))

    def equal(self, other: Operand) -> Tensor:
        """Return where both are the same, as booleans."""
        return self.op("Equal", self, self._like(other))

    def cast(self, dtype: ir.DataType | None) -> Tensor:
        """Return the elements as another type; itself if it is of that type already."""
        if dtype is None or dtype == self.dtype:
            return self
        return self.op("Cast", self, to=int(dtype))

    def sum(self, axes: tuple[int, ...] | None = None, *, keepdims: bool = True) -> Tensor:
        """Sum over some axes, or over all of them."""
        return self.op.reduce("ReduceSum", self, axes, keepdims=keepdims)

    def mean(self, axes: tuple[int, ...] | None = None, *, keepdims: bool = True) -> Tensor:
        """Average over some axes, or over all of them."""
        return self.op.reduce("ReduceMean", self, axes, keepdims=keepdims)

    def transpose(self, *perm: int) -> Tensor:
        """Return the axes in another order."""
        return self if perm == tuple(range(len(perm))) else self.op("Transpose", self, perm=perm)

    def reshape(self, *sizes: int) -> Tensor:
        """Return the elements in another shape; 0 keeps a size, one may be -1."""
        return self.op("Reshape", self, self.op.ints(*sizes))

    def reshape_like(self, other: Tensor) -> Tensor:
        """Return the elements in the shape of `other`."""
        if self.fixed is not None and self.fixed == other.fixed:
            return self
        empty = other.fixed is None or 0 in other.fixed
        result = self.op("Reshape", self, other.sizes(), allowzero=int(empty) or None)
        return self.op.typed(result.value, self.dtype, other.shape)

    def expand_like(self, other: Tensor) -> Tensor:
        """Repeat the elements along axes of size 1 until the shape is that of `other`."""
        if self.fixed is not None and self.fixed == other.fixed:
            return self
        result = self.op("Expand", self, other.sizes())
        return self.op.typed(result.value, self.dtype, other.shape)

    def sizes(self) -> Tensor:
        """Return the shape as a tensor, int64 (rank): a constant where it is known."""
        return self.op("Shape", self) if self.fixed is None else self.op.ints(*self.fixed)

    def size(self, axis: int) -> Tensor:
        """Return one size as int64 (1): a constant where it is known."""
        if self.shape is not None and isinstance(known := self.shape[axis], int):
            return self.op.ints(known)
        end = None if axis == -1 else axis + 1
        return self.op("Shape", self, start=axis, end=end)

    def unsqueeze(self, *axes: int) -> Tensor:
        """Insert axes of size 1."""
        return self.op("Unsqueeze", self, self.op.ints(*axes))

    def squeeze(self, *axes: int) -> Tensor:
        """Remove axes of size 1."""
        return self.op("Squeeze", self, self.op.ints(*axes))

    def _like(self, other: Operand) -> Tensor:
        if isinstance(other, Tensor):
            return other
        dtype = self.dtype or ir.DataType.FLOAT
        return self.op.constant(np.asarray(other), dtype)
