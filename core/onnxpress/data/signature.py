"""What a model wants to be fed: its inputs as plain records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from onnxpress.errors import OptionError

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.graph.model import Model

Dim: TypeAlias = int | str | None


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a model.

    Attributes:
        name: Its name in the graph.
        dtype: The element type; None where the model does not say, or it is no tensor.
        shape: Its dimensions, each a size, a symbol, or None; None if even the rank is open.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[Dim, ...] | None

    @property
    def is_float(self) -> bool:
        """Whether it takes floating-point numbers (bfloat16 included)."""
        return self.dtype is not None and is_float(self.dtype)

    def misfit(self, shape: Sequence[int]) -> int | None:
        """Return the first axis on which `shape` does not fit, -1 for a wrong rank, else None."""
        if self.shape is None:
            return None
        if len(shape) != len(self.shape):
            return -1
        wrong = (
            axis
            for axis, (size, wanted) in enumerate(zip(shape, self.shape, strict=True))
            if isinstance(wanted, int) and size != wanted
        )
        return next(wrong, None)

    def __str__(self) -> str:
        dims = (
            "…"
            if self.shape is None
            else ", ".join("?" if d is None else str(d) for d in self.shape)
        )
        return f"{self.dtype or 'anything'}[{dims}]"


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs of a model, and whether their first axis counts samples.

    Attributes:
        inputs: What must be fed, in graph order.
        batched: Whether the first axis of every input may count samples; False where
            one has no axes, where fixed first axes differ, or where one is fixed to more
            than 1 and another is open (a recurrent state: its samples are on another axis).
        fixed: The number of samples that the model takes at once, if it is fixed.
    """

    inputs: tuple[Input, ...]
    batched: bool
    fixed: int | None

    @classmethod
    def of(cls, model: Model) -> Signature:
        """Read it from a model."""
        return cls.from_inputs(tuple(_input(value) for value in model.inputs))

    @classmethod
    def from_inputs(cls, inputs: tuple[Input, ...]) -> Signature:
        """Work out from the inputs whether there is a batch axis."""
        firsts = [i.shape[0] if i.shape else None for i in inputs]
        sizes = {first for first in firsts if isinstance(first, int)}
        some_are_open = len(sizes) > 0 and not all(isinstance(first, int) for first in firsts)
        differ = len(sizes) > 1 or (some_are_open and sizes != {1})
        batched = not differ and all(i.shape != () for i in inputs)
        return cls(inputs, batched, next(iter(sizes), None) if batched else None)

    @property
    def fixed_by(self) -> str:
        """Which dimension fixes the number of samples, as words; empty if none does."""
        name = next((i.name for i in self.inputs if i.shape and isinstance(i.shape[0], int)), None)
        return "" if self.fixed is None else f"dimension 0 of input {name!r}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(i.name for i in self.inputs)


FREE_IT: Final = "onnxpress convert MODEL -o OUT --dynamic-batch"


def wrong_batch(batch: int, fixed: int, fixed_by: str) -> OptionError:
    """Return the error for another batch size than the one that a model fixes."""
    return OptionError(
        f"batch={batch}: the model takes {fixed} at once, because {fixed_by} is {fixed}; leave "
        f"batch out, or make that dimension dynamic: {FREE_IT}"
    )


def no_batch_axis(batch: int) -> OptionError:
    """Return the error for a batch size where the first axes of inputs do not count samples."""
    return OptionError(
        f"batch={batch}: the model has no batch axis, so runs are fed one by one; leave batch out"
    )


def is_float(dtype: np.dtype[Any]) -> bool:
    """Say whether `dtype` holds floats, those that numpy itself does not know included."""
    return dtype.kind == "f" or dtype.name.startswith(("bfloat", "float"))


def _input(value: ir.Value) -> Input:
    dims = (
        None
        if value.shape is None
        else tuple(d if isinstance(d, int) else d.value for d in value.shape)
    )
    return Input(value.name or "", _dtype(value), dims)


def _dtype(value: ir.Value) -> np.dtype[Any] | None:
    import onnx_ir as ir

    if value.dtype is None or not isinstance(value.type, ir.TensorType):
        return None
    return np.dtype(value.dtype.numpy())
