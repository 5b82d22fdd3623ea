"""Pad nodes that name all axes.

ONNX Runtime (1.32) moves Transpose nodes over Pad nodes without looking at the input ``axes``,
and then reads pads that are not there: Transpose, Pad of some axes, Transpose fails to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnxpress.autodiff.tensor import Operand, Tensor
from onnxpress.graph.constants import constant_tensor

if TYPE_CHECKING:
    from onnxpress.autodiff.builder import Builder


def with_all_axes(op: Builder, inputs: Sequence[Operand | None]) -> Sequence[Operand | None]:
    """Return the inputs of a Pad node, with pads for all axes where the axes are known."""
    if len(inputs) <= 3:  # noqa: PLR2004
        return inputs
    x, pads, value, axes = inputs[:4]
    listed = constant_tensor(axes.value) if isinstance(axes, Tensor) else None
    if (
        listed is None
        or not isinstance(x, Tensor)
        or x.rank is None
        or not isinstance(pads, Tensor)
    ):
        return inputs
    return x, _scattered(op, pads, [int(a) % x.rank for a in listed.numpy()], x.rank), value


def _scattered(op: Builder, pads: Tensor, axes: Sequence[int], rank: int) -> Tensor:
    """Put the pads of some axes, begins then ends, where those of all axes have them."""
    none = 2 * len(axes)  # the place of a 0 that is put behind the pads
    places = [none] * (2 * rank)
    for i, axis in enumerate(axes):
        places[axis], places[rank + axis] = i, len(axes) + i
    known = constant_tensor(pads.value)
    if known is not None:
        given = [*(int(n) for n in known.numpy()), 0]
        return op.ints(*(given[place] for place in places))
    return op("Gather", op("Concat", pads, op.ints(0), axis=0), op.ints(*places))
