from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.nn import functional

from tests.core.autodiff.cases import case, normal


def conv(
    note: str,
    x: Sequence[int],
    w: Sequence[int],
    *,
    before: Sequence[int] = (),
    behind: Sequence[int] = (),
    bias: bool = True,
    **attributes: Any,
) -> None:
    """Register a case; `before` and `behind` are what PyTorch pads, as ``pads`` unless SAME."""
    axes = len(x) - 2
    first, last = before or (0,) * axes, behind or (0,) * axes
    given = dict(attributes)
    if (any(first) or any(last)) and "auto_pad" not in given:
        given["pads"] = [*first, *last]
    padding = [n for pair in reversed(list(zip(first, last, strict=True))) for n in pair]

    def in_torch(x: Any, w: Any, b: Any = None) -> Any:
        function = getattr(functional, f"conv{axes}d")
        names = {"strides": "stride", "dilations": "dilation", "group": "groups"}
        rest = {names[k]: v for k, v in attributes.items() if k in names}
        return function(functional.pad(x, padding), w, b, **rest)

    inputs = [normal(*x), normal(*w, seed=1), *([normal(w[0], seed=2)] if bias else [])]
    case("Conv", *inputs, torch=in_torch, note=note, **given)


conv("3x3", (2, 3, 5, 4), (4, 3, 3, 3), before=(1, 1), behind=(1, 1), kernel_shape=[3, 3])
conv("without kernel_shape", (2, 2, 5, 4), (3, 2, 3, 2))
conv("many channels", (2, 6, 5, 4), (3, 6, 3, 3), before=(1, 1), behind=(1, 1))
conv("no bias", (2, 5, 4, 4), (3, 5, 2, 2), bias=False)
conv("1x1", (2, 3, 4, 3), (5, 3, 1, 1), kernel_shape=[1, 1])
conv("1x1 strided", (2, 3, 5, 4), (5, 3, 1, 1), strides=[2, 2], kernel_shape=[1, 1])
conv("1x1 padded", (1, 2, 3, 3), (3, 2, 1, 1), before=(1, 0), behind=(0, 2))
conv("strides", (2, 3, 6, 7), (4, 3, 3, 3), before=(1, 1), behind=(1, 1), strides=[2, 2],
     kernel_shape=[3, 3])  # fmt: skip
conv("stride over the kernel", (1, 2, 8, 8), (2, 2, 2, 2), strides=[3, 3])
conv("dilations", (2, 2, 6, 6), (3, 2, 3, 2), before=(2, 1), behind=(2, 0), dilations=[2, 3],
     kernel_shape=[3, 2])  # fmt: skip
conv("dilations and strides", (2, 6, 8, 7), (3, 6, 2, 2), strides=[2, 1], dilations=[3, 2])
conv("asymmetric pads", (1, 4, 7, 6), (6, 2, 3, 2), before=(1, 0), behind=(2, 1), group=2,
     strides=[2, 3], dilations=[2, 1])  # fmt: skip
conv("pads over the kernel", (1, 2, 4, 4), (2, 2, 2, 2), before=(2, 1), behind=(0, 3))
conv("groups", (2, 4, 5, 5), (6, 2, 3, 3), before=(1, 1), behind=(1, 1), group=2)
conv("groups, kernel_shape", (2, 4, 5, 5), (4, 2, 3, 2), group=2, kernel_shape=[3, 2])
conv("groups 1x1", (2, 4, 3, 3), (6, 2, 1, 1), group=2, kernel_shape=[1, 1])
conv("depthwise", (2, 4, 5, 5), (4, 1, 3, 3), before=(1, 1), behind=(1, 1), group=4,
     kernel_shape=[3, 3])  # fmt: skip
conv("depthwise, strided", (2, 3, 6, 5), (3, 1, 3, 3), before=(1, 1), behind=(1, 1), group=3,
     strides=[2, 2])  # fmt: skip
conv("depthwise, multiplied", (2, 3, 5, 5), (6, 1, 3, 3), group=3, dilations=[2, 2])
conv("large kernel", (2, 2, 8, 7), (3, 2, 7, 5), before=(3, 2), behind=(3, 2))
conv("large kernel, strided", (2, 2, 9, 10), (4, 2, 7, 6), strides=[2, 3], kernel_shape=[7, 6])
conv("large kernel, groups", (2, 4, 9, 8), (2, 2, 7, 6), strides=[2, 1], group=2)
conv("large kernel, depthwise", (2, 3, 8, 8), (3, 1, 7, 7), before=(3, 3), behind=(3, 3), group=3)
conv("SAME_UPPER", (2, 2, 5, 6), (3, 2, 2, 4), before=(0, 1), behind=(1, 2),
     auto_pad="SAME_UPPER", kernel_shape=[2, 4])  # fmt: skip
conv("SAME_LOWER, strided", (2, 2, 5, 6), (3, 2, 2, 3), before=(1, 1), behind=(0, 0),
     auto_pad="SAME_LOWER", strides=[2, 2], kernel_shape=[2, 3])  # fmt: skip
conv("SAME_UPPER, strided", (2, 2, 5, 6), (3, 2, 2, 3), before=(0, 0), behind=(1, 1),
     auto_pad="SAME_UPPER", strides=[2, 2])  # fmt: skip
conv("SAME_UPPER, stride over the kernel", (1, 2, 6, 6), (2, 2, 1, 1), auto_pad="SAME_UPPER",
     strides=[3, 2], kernel_shape=[1, 1])  # fmt: skip
conv("VALID", (1, 2, 5, 5), (2, 2, 3, 3), auto_pad="VALID")
conv("1-D", (2, 3, 9), (4, 3, 3), before=(1,), behind=(1,), strides=[2], kernel_shape=[3])
conv("1-D, long", (2, 2, 40), (3, 2, 34), before=(8,), behind=(7,))
conv("1-D, causal", (2, 3, 8), (3, 1, 3), before=(4,), behind=(0,), dilations=[2], group=3)
conv("3-D", (1, 2, 3, 4, 4), (2, 2, 2, 2, 2), before=(0, 1, 0), behind=(0, 1, 0), strides=[1, 2, 1])
conv("3-D, kernel_shape", (2, 2, 4, 3, 4), (3, 2, 2, 3, 1), before=(1, 1, 0), behind=(0, 1, 0),
     kernel_shape=[2, 3, 1])  # fmt: skip

# A stored weight and a batch of unknown size are what trained networks have; `wrt` is the input.
case(
    "Conv", normal(2, 3, 5, 4), normal(4, 3, 3, 3, seed=1), normal(4, seed=2), stored=[1, 2],
    wrt=[0], pads=[1, 1, 1, 1], note="stored weight",
    torch=lambda x, w, b: functional.conv2d(x, w, b, padding=1),
)  # fmt: skip
case(
    "Conv", normal(2, 4, 5, 4), normal(4, 1, 3, 3, seed=1), stored=[1], wrt=[0],
    strides=[2, 2], group=4, note="stored weight, depthwise, strided",
    torch=lambda x, w: functional.conv2d(x, w, stride=2, groups=4),
)  # fmt: skip
