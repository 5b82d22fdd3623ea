from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tests.core.autodiff.cases import case, normal, spread


def average(note: str, x: Sequence[int], kernel: Sequence[int], **fields: Any) -> None:
    """Register a case for padding that is the same on both sides."""
    axes = len(kernel)
    pads, in_torch = fields.get("pads", [0] * (2 * axes)), fields.pop("torch", None)

    def default(x: Any) -> Any:
        rest = {"ceil_mode": bool(fields.get("ceil_mode"))}
        rest["count_include_pad"] = bool(fields.get("count_include_pad"))
        strides = fields.get("strides", [1] * axes)
        return getattr(functional, f"avg_pool{axes}d")(x, kernel, strides, pads[:axes], **rest)

    function = None if in_torch is False else in_torch or default
    case("AveragePool", normal(*x), note=note, kernel_shape=kernel, torch=function, **fields)


average("2x2", (2, 2, 4, 6), [2, 2], strides=[2, 2])
average("2x2 with a rest", (2, 2, 5, 7), [2, 2], strides=[2, 2])
average("2x2, ceil_mode", (1, 2, 5, 6), [2, 2], strides=[2, 2], ceil_mode=1)
average("2x2 padded", (1, 2, 6, 6), [2, 2], strides=[2, 2], pads=[1, 1, 1, 1])
average("3x3 by one", (1, 2, 4, 5), [3, 3], pads=[1, 1, 1, 1])
average("3x3 by one, counting pads", (1, 2, 4, 5), [3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
average("3x3 strided", (1, 2, 6, 7), [3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
average("3x3 strided, counting pads", (1, 2, 6, 7), [3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
        count_include_pad=1)  # fmt: skip
average("3x3 strided, ceil_mode", (1, 2, 6, 7), [3, 3], strides=[2, 2], ceil_mode=1)
average("3x3 padded, ceil_mode", (1, 2, 6, 6), [3, 3], strides=[2, 2], ceil_mode=1,
        pads=[1, 1, 1, 1])  # fmt: skip
average("3x3 ceil_mode, counting pads", (1, 2, 6, 6), [3, 3], strides=[2, 2], ceil_mode=1,
        pads=[1, 1, 1, 1], count_include_pad=1)  # fmt: skip
average("asymmetric pads", (1, 2, 5, 5), [2, 3], pads=[1, 0, 0, 2], strides=[1, 2], torch=False)
average("dilations", (1, 2, 6, 7), [2, 3], dilations=[3, 2], strides=[2, 1], torch=False)
average("dilations, padded", (1, 2, 5, 5), [2, 2], dilations=[2, 2], pads=[1, 1, 1, 1],
        torch=False)  # fmt: skip
average("SAME_UPPER", (1, 2, 5, 4), [2, 3], auto_pad="SAME_UPPER", torch=False)
average("SAME_LOWER", (1, 2, 5, 6), [2, 3], auto_pad="SAME_LOWER", strides=[2, 2], torch=False)
average("stride over the kernel", (1, 2, 7, 8), [2, 1], strides=[3, 2])
average("1-D", (2, 2, 7), [3], strides=[2])
average("3-D", (1, 2, 4, 3, 4), [2, 2, 2], strides=[2, 1, 2], pads=[0, 1, 0, 0, 1, 0])


def norm(p: int) -> Any:
    """Return the p-norm over 2x3 windows; PyTorch's own takes no absolute values."""
    return lambda x: functional.lp_pool2d(x.abs(), p, (2, 3), 1)


for p in (1, 2, 3):
    case("LpPool", spread(1, 2, 4, 5), kernel_shape=[2, 3], p=p, note=f"p={p}", torch=norm(p))
    case("GlobalLpPool", spread(2, 2, 3, 2), p=p, note=f"p={p}",
         torch=lambda x, p=p: torch.linalg.vector_norm(x, p, (2, 3), keepdim=True))  # fmt: skip
case("LpPool", spread(1, 2, 6, 5), kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1],
     note="padded")  # fmt: skip
case("LpPool", spread(1, 2, 5, 4), kernel_shape=[2, 3], auto_pad="SAME_UPPER", note="SAME_UPPER")
case("LpPool", spread(1, 2, 7), kernel_shape=[2], strides=[2], note="1-D")
# All of one window is zero: the norm has a kink there, and the gradient is 0 by choice.
case("LpPool", np.concatenate([np.zeros((1, 1, 2, 2)), spread(1, 1, 2, 2)], axis=3),
     kernel_shape=[2, 2], strides=[2, 2], note="zeros", smooth=False,
     torch=lambda x: functional.lp_pool2d(x, 2, 2))  # fmt: skip
case("GlobalAveragePool", normal(2, 3, 4, 3), torch=lambda x: x.mean((2, 3), keepdim=True))
case("GlobalAveragePool", normal(2, 3, 4), note="1-D", torch=lambda x: x.mean(2, keepdim=True))
