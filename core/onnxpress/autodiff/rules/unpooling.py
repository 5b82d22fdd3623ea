"""MaxUnpool and Col2Im: values put where a pooling or a window took them from."""

from __future__ import annotations

from itertools import product as offsets
from math import prod

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import ranked, sizes, to_shape
from onnxpress.autodiff.table import GRADIENTS
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError


@GRADIENTS("MaxUnpool")
def _max_unpool(at: Site) -> Tensor:
    """Read where each value was put."""
    indices = at.input(1).reshape(-1)
    return at.op("Gather", at.gradient.reshape(-1), indices).reshape_like(at.input(0))


@GRADIENTS("Col2Im")
def _col2im(at: Site) -> Tensor:
    """Im2Col: for each offset in the window, the pixels that all windows have there."""
    op, image, window = at.op, at.constant(1), at.constant(2)
    if image is None or window is None:
        raise ModelError(
            f"the gradient of Col2Im {at.node.name!r} needs image_shape and block_shape stored in "
            "the model; here they are computed"
        )
    axes = len(image)
    pads = at.ints("pads") or (0,) * 2 * axes
    strides = at.ints("strides") or (1,) * axes
    dilations = at.ints("dilations") or (1,) * axes
    spatial = tuple(range(2, 2 + axes))
    padded = op("Pad", at.gradient, op.ints(*pads), None, op.ints(*spatial))
    counts = [
        (int(n) + pads[i] + pads[axes + i] - dilations[i] * (int(window[i]) - 1) - 1) // strides[i]
        + 1
        for i, n in enumerate(image)
    ]
    count = sizes(ranked(at.input(0), 3), 0, 1)
    channels = at.gradient.size(1)
    parts = []
    for offset in offsets(*(range(int(n)) for n in window)):
        begins = [o * d for o, d in zip(offset, dilations, strict=True)]
        ends = [b + (n - 1) * s + 1 for b, n, s in zip(begins, counts, strides, strict=True)]
        numbers = (op.ints(*part) for part in (begins, ends, spatial, strides))
        parts.append(to_shape(op("Slice", padded, *numbers), *count, channels, 1, prod(counts)))
    joined = op("Concat", *parts, axis=2)
    return joined.reshape_like(at.input(0))
