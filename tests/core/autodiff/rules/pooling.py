from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.nn import functional

from tests.core.autodiff.cases import case, spread


def max_pool(note: str, x: Sequence[int], kernel: Sequence[int], **fields: Any) -> None:
    """Register a case; PyTorch pads with what no maximum can be."""
    axes = len(kernel)
    front, behind = fields.pop("padded", ([0] * axes, [0] * axes))
    if (any(front) or any(behind)) and "auto_pad" not in fields:
        fields["pads"] = [*front, *behind]
    padding = [n for pair in reversed(list(zip(front, behind, strict=True))) for n in pair]
    strides = fields.get("strides", [1] * axes)

    def in_torch(x: Any) -> Any:
        padded = functional.pad(x, padding, value=-np.inf)
        function = getattr(functional, f"max_pool{axes}d")
        return function(
            padded, kernel, strides, 0, fields.get("dilations", 1), bool(fields.get("ceil_mode"))
        )

    # Of the second derivative only the mixed part is not zero: the mask, in front of dy.
    case("MaxPool", spread(*x), note=note, kernel_shape=kernel, torch=in_torch, **fields)


max_pool("2x2", (2, 2, 4, 6), [2, 2], strides=[2, 2])
max_pool("2x2 with a rest", (2, 2, 5, 7), [2, 2], strides=[2, 2])
max_pool("2x2, ceil_mode", (1, 2, 5, 6), [2, 2], strides=[2, 2], ceil_mode=1)
max_pool("3x3 strided", (1, 2, 6, 7), [3, 3], strides=[2, 2], padded=([1, 1], [1, 1]))
max_pool("3x3 strided, ceil_mode", (1, 2, 6, 7), [3, 3], strides=[2, 2], ceil_mode=1)
max_pool("3x2 by one", (1, 2, 4, 5), [3, 2], padded=([1, 0], [1, 1]))
max_pool("4x3, many elements", (1, 2, 6, 5), [4, 3], padded=([1, 1], [2, 1]))
max_pool("5x5 strided", (1, 2, 7, 7), [5, 5], strides=[2, 2], padded=([2, 2], [2, 2]))
max_pool("dilations", (1, 2, 6, 7), [2, 3], strides=[2, 1], dilations=[3, 2])
max_pool("stride over the kernel", (1, 2, 7, 8), [2, 1], strides=[3, 2])
max_pool("SAME_UPPER", (1, 2, 5, 4), [2, 3], auto_pad="SAME_UPPER", padded=([0, 1], [1, 1]))
max_pool("SAME_LOWER", (1, 2, 5, 6), [2, 3], auto_pad="SAME_LOWER", strides=[2, 2],
         padded=([1, 1], [0, 0]))  # fmt: skip
max_pool("VALID", (1, 2, 5, 4), [2, 3], auto_pad="VALID", strides=[2, 1])
max_pool("with indices", (1, 2, 5, 4), [2, 2], outputs=2, strides=[1, 2])
max_pool("with indices along columns", (1, 2, 5, 4), [2, 2], outputs=2, strides=[2, 2],
         storage_order=1)  # fmt: skip
max_pool("1-D", (2, 2, 7), [3], strides=[2])
max_pool("1-D, long", (2, 2, 14), [11], padded=([2], [3]))
max_pool("3-D", (1, 2, 4, 3, 4), [2, 2, 2], strides=[2, 1, 2])
max_pool("3-D, many elements", (1, 1, 4, 4, 4), [3, 2, 3])
case("GlobalMaxPool", spread(2, 3, 4, 3), torch=lambda x: functional.adaptive_max_pool2d(x, 1))
case("GlobalMaxPool", spread(2, 3, 5), note="1-D",
     torch=lambda x: functional.adaptive_max_pool1d(x, 1))  # fmt: skip
