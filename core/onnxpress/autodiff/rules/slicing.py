"""Slice: the gradient goes back to the places that were taken, and zeros to the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.moving import places_by, put_back
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import difference, size, sizes, to_shape, vector
from onnxpress.autodiff.table import GRADIENTS
from onnxpress.autodiff.tensor import Tensor

_END: Final = np.iinfo(np.int64)


@GRADIENTS("Slice")
def _slice(at: Site) -> Tensor:
    """Undo the steps, by zeros in between, and pad with zeros.

    Where it is known only at run time which axes are cut, or by which steps, the gradient
    goes back by index.
    """
    cuts = _cuts(at)
    if cuts is not None:
        return _padded(at, cuts)
    steps = at.constant(4) if at.has(4) else np.ones(1)
    if steps is not None and (steps == 1).all():
        return _shifted(at)
    return put_back(at, places_by(at, *at.x[1:]))


@dataclass(frozen=True)
class Cut:
    """What is taken along one axis: element `first`, then every `step`-th one.

    Attributes:
        axis: The axis, counted from the front.
        first: Where the first element is.
        step: How far it is to the next one, backwards if negative.
        taken: How many are taken.
        length: How many there are.
    """

    axis: int
    first: int | Tensor
    step: int
    taken: int | Tensor
    length: int | Tensor


def _cuts(at: Site) -> list[Cut] | None:
    """Return what is taken along each axis; None if axes or steps are known only at run time."""
    x, starts = at.input(0), at.input(1)
    number = None if starts.shape is None else starts.shape[0]
    if x.rank is None or at.gradient.rank is None or not isinstance(number, int):
        return None
    axes = at.constant(3) if at.has(3) else np.arange(number)
    steps = at.constant(4) if at.has(4) else np.ones(number)
    if axes is None or steps is None:
        return None
    known = at.constant(1)
    cuts = []
    for i, (axis, step) in enumerate(zip(axes.tolist(), steps.tolist(), strict=True)):
        start = _element(starts, i) if known is None else int(known[i])
        place = int(axis) % x.rank
        length = size(x, place)
        first = _first(at.op, start, length, backwards=step < 0)
        cuts.append(Cut(place, first, int(step), size(at.gradient, place), length))
    return cuts


def _element(numbers: Tensor, index: int) -> Tensor:
    return numbers.op("Gather", numbers, numbers.op.ints(index)).cast(ir.DataType.INT64)


def _first(
    op: Builder, start: int | Tensor, length: int | Tensor, *, backwards: bool
) -> int | Tensor:
    """Return where a slice begins: a negative start counts from the end, others are clamped."""
    if isinstance(start, int) and start == 0 and not backwards:
        return 0
    if isinstance(start, int) and isinstance(length, int):
        return min(max(start + length if start < 0 else start, 0), length - backwards)
    end, begin = vector(op, length), vector(op, start)
    if isinstance(start, int):
        place = begin + end if start < 0 else begin
    else:
        place = op("Where", begin < 0, begin + end, begin)
    return op("Max", op("Min", place, end - int(backwards)), op.ints(0))


def _padded(at: Site, cuts: Sequence[Cut]) -> Tensor:
    """Pad the gradient, spread out and turned round where steps are not 1."""
    op = at.op
    dy = _spread(_forwards(at.gradient, cuts), cuts)
    before, after = [], []
    for cut in cuts:
        step = abs(cut.step)
        begin = cut.first
        if cut.step < 0:  # the last element taken is the first one in the order of the input
            begin = difference(op, cut.first, _times(difference(op, cut.taken, 1), step))
        covered = _times(cut.taken, step)
        before.append(begin)
        after.append(difference(op, difference(op, cut.length, begin), covered))
    axes = op.ints(*(cut.axis for cut in cuts))
    result = op("Pad", dy, vector(op, *before, *after), None, axes)
    return op.typed(result.value, dy.dtype, at.input(0).shape)


def _forwards(dy: Tensor, cuts: Sequence[Cut]) -> Tensor:
    axes = [cut.axis for cut in cuts if cut.step < 0]
    if not axes:
        return dy
    op, number = dy.op, len(axes)
    starts, ends, steps = ([n] * number for n in (-1, _END.min, -1))
    turned = op("Slice", dy, op.ints(*starts), op.ints(*ends), op.ints(*axes), op.ints(*steps))
    return op.typed(turned.value, dy.dtype, dy.shape)


def _spread(dy: Tensor, cuts: Sequence[Cut]) -> Tensor:
    """Put ``step - 1`` zeros behind each element."""
    op = dy.op
    wide = {cut.axis: abs(cut.step) for cut in cuts if abs(cut.step) != 1}
    if not wide:
        return dy
    split: list[int | Tensor] = []
    pads: dict[int, int] = {}
    for axis, own in enumerate(sizes(dy)):
        split.append(own)
        if axis in wide:
            pads[len(split)] = wide[axis] - 1
            split.append(1)
    behind = op.ints(*[0] * len(pads), *pads.values())
    apart = op("Pad", to_shape(dy, *split), behind, None, op.ints(*pads))
    return to_shape(apart, *(_times(n, wide.get(axis, 1)) for axis, n in enumerate(sizes(dy))))


def _times(n: int | Tensor, factor: int) -> int | Tensor:
    return n if factor == 1 else n * factor


def _shifted(at: Site) -> Tensor:
    """Pad the gradient of a slice without steps, all of whose numbers may be computed."""
    op, x, dy = at.op, at.input(0), at.gradient
    starts = at.input(1).cast(ir.DataType.INT64)
    axes = at.input(3).cast(ir.DataType.INT64) if at.has(3) else _all(starts)
    length = op("Gather", op("Shape", x), axes)
    taken = op("Gather", op("Shape", dy), axes)
    begin = op("Where", starts < 0, starts + length, starts)
    begin = op("Max", op("Min", begin, length), op.ints(0))
    pads = op.concat([begin, length - begin - taken])
    return op.typed(op("Pad", dy, pads, None, axes).value, dy.dtype, x.shape)


def _all(starts: Tensor) -> Tensor:
    op = starts.op
    return op("Range", op.scalar(0), op("Size", starts), op.scalar(1))
