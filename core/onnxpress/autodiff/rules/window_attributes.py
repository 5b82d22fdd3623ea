"""The window of a convolution or pooling node, from its attributes and the shapes it meets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxpress.autodiff.rules.windows import Sizes, Window, spatial, tensor_of
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError


def window_of(at: Site, kernel: Sizes | None = None) -> Window:
    """Read the window of a convolution or pooling node, with its padding over input 0.

    Args:
        at: The node.
        kernel: The kernel's sizes; by default the attribute ``kernel_shape``.
    """
    sizes: Sizes | None = at.ints("kernel_shape") if kernel is None else kernel
    assert sizes is not None, "kernel_shape is required"
    axes = spatial_axes(at)
    strides = at.ints("strides") or (1,) * axes
    none = (0,) * axes
    window = Window(sizes, strides, at.ints("dilations") or (1,) * axes, none, none)
    mode = at.text("auto_pad", "NOTSET")
    if mode in {"SAME_UPPER", "SAME_LOWER"}:
        begin, end = _same(window, at.input(0), upper=mode == "SAME_UPPER")
        return replace(window, begin=begin, end=end)
    pads = None if mode == "VALID" else at.ints("pads")
    return replace(window, begin=pads[:axes], end=pads[axes:]) if pads else window


def spatial_axes(at: Site) -> int:
    """Return how many axes a window moves along, from whatever tells."""
    for x in at.x[:2]:
        if x is not None and x.rank is not None:
            return x.rank - 2
    for name in ("kernel_shape", "strides", "dilations"):
        if given := at.ints(name):
            return len(given)
    raise ModelError(
        f"how many axes {at.node.op_type} {at.node.name!r} has is unknown; give its input a shape"
    )


def _same(window: Window, x: Tensor, *, upper: bool) -> tuple[Sizes, Sizes]:
    """Return the padding with which there is a window at every stride-th element."""
    reach, axes, known = window.reach, len(window.strides), spatial(x)
    if reach is not None and window.steps_by_one:
        total: Sizes = tuple(r - 1 for r in reach)
    elif reach is not None and not isinstance(known, Tensor):
        total = tuple(
            max((-(-n // s) - 1) * s + r - n, 0)
            for n, s, r in zip(known, window.strides, reach, strict=True)
        )
    else:
        op, strides = x.op, np.array(window.strides)
        n, k = tensor_of(op, known), tensor_of(op, window.kernel)
        last = ((n - 1) / strides) * strides  # where the last window begins; integers
        wanted = last + (k - 1) * np.array(window.dilations) + 1
        total = op("Max", wanted - n, op.ints(*[0] * axes))
    return halves(total, upper=upper)


def halves(total: Sizes, *, upper: bool) -> tuple[Sizes, Sizes]:
    """Split padding in two; what is over goes to the end if `upper`, else to the beginning."""
    if isinstance(total, Tensor):
        small: Tensor = total / 2
        return (small, total - small) if upper else (total - small, small)
    less = tuple(n // 2 for n in total)
    more = tuple(n - n // 2 for n in total)
    return (less, more) if upper else (more, less)
