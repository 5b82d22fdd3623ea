from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.nn import functional

from tests.core.autodiff.cases import case, normal


def transposed(
    note: str,
    x: Sequence[int],
    w: Sequence[int],
    *,
    cut: tuple[Sequence[int], Sequence[int]] | None = None,
    bias: bool = True,
    **attributes: Any,
) -> None:
    """Register a case; `cut` is what PyTorch cuts off in front and behind, by default ``pads``."""
    axes, group = len(x) - 2, attributes.get("group", 1)
    pads = attributes.get("pads", [0] * (2 * axes))
    front, behind = cut or (pads[:axes], pads[axes:])

    def in_torch(x: Any, w: Any, b: Any = None) -> Any:
        names = {"strides": "stride", "dilations": "dilation", "group": "groups"}
        names["output_padding"] = "output_padding"
        rest = {names[k]: v for k, v in attributes.items() if k in names}
        whole = getattr(functional, f"conv_transpose{axes}d")(x, w, b, **rest)
        for axis, (a, e) in enumerate(zip(front, behind, strict=True), 2):
            whole = whole.narrow(axis, a, whole.shape[axis] - a - e)
        return whole

    inputs = [normal(*x), normal(*w, seed=1)]
    inputs += [normal(w[1] * group, seed=2)] if bias else []
    case("ConvTranspose", *inputs, torch=in_torch, note=note, **attributes)


transposed("2x2 strided", (2, 3, 3, 4), (3, 2, 2, 2), strides=[2, 2], kernel_shape=[2, 2])
transposed("3x3", (2, 3, 4, 4), (3, 2, 3, 3), pads=[1, 1, 1, 1])
transposed("no bias", (2, 3, 4, 3), (3, 5, 3, 2), bias=False)
transposed("output_padding", (2, 3, 4, 3), (3, 2, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1],
           output_padding=[1, 1], kernel_shape=[3, 3])  # fmt: skip
transposed("output_padding without pads", (1, 2, 3, 3), (2, 3, 2, 3), strides=[2, 3],
           output_padding=[1, 2])  # fmt: skip
transposed("groups", (1, 4, 3, 3), (4, 2, 2, 3), strides=[2, 1], dilations=[1, 2], group=2,
           pads=[0, 1, 0, 2], kernel_shape=[2, 3])  # fmt: skip
transposed("depthwise", (2, 3, 4, 4), (3, 1, 4, 4), strides=[2, 2], group=3, pads=[1, 1, 1, 1])
transposed("dilations", (2, 2, 4, 3), (2, 3, 3, 2), dilations=[2, 3], pads=[1, 0, 2, 1])
transposed("large kernel", (2, 2, 3, 4), (2, 3, 6, 7), strides=[3, 2], pads=[2, 2, 1, 3])
transposed("output_shape", (2, 2, 4, 5), (2, 3, 3, 4), cut=((1, 2), (0, 1)), strides=[2, 2],
           output_shape=[8, 9], kernel_shape=[3, 4])  # fmt: skip
transposed("output_shape, SAME_UPPER", (2, 2, 4, 5), (2, 3, 3, 4), cut=((0, 1), (1, 2)),
           strides=[2, 2], output_shape=[8, 9], auto_pad="SAME_UPPER")  # fmt: skip
transposed("SAME_UPPER", (2, 2, 4, 3), (2, 3, 3, 5), cut=((0, 1), (1, 2)), strides=[2, 2],
           auto_pad="SAME_UPPER", kernel_shape=[3, 5])  # fmt: skip
transposed("SAME_LOWER", (2, 2, 4, 3), (2, 3, 3, 5), cut=((1, 2), (0, 1)), strides=[2, 2],
           auto_pad="SAME_LOWER")  # fmt: skip
transposed("VALID", (2, 2, 4, 3), (2, 3, 3, 2), auto_pad="VALID")
transposed("1-D", (2, 3, 5), (3, 2, 4), strides=[2], pads=[1, 1], kernel_shape=[4])
transposed("1-D, long", (1, 2, 6), (2, 1, 33), strides=[4], pads=[9, 3])
transposed("3-D", (1, 2, 3, 2, 3), (2, 2, 2, 3, 2), strides=[2, 1, 2], output_padding=[1, 0, 0],
           pads=[0, 1, 0, 1, 1, 0])  # fmt: skip
